"""Publishing with the real client, on a server of this machine that speaks the Hub's protocol."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server import Hub, hub_server
from huggingface_hub import HfApi, constants, hf_api, hf_hub_download
from huggingface_hub.errors import HTTPError
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner
from webserver import Fault

from dnagpt_hf import DNAGPTForMultiTask, DNAGPTTokenizer, bundled
from dnagpt_hf.checkpoints.card import CardError
from dnagpt_hf.checkpoints.opening import open_checkpoint
from dnagpt_hf.checkpoints.publishing import (
    CODE,
    PublishingError,
    checkpoint_files,
    push_checkpoint,
)
from dnagpt_hf.checkpoints.saving import init_checkpoint
from dnagpt_hf.checkpoints.validation import CheckpointFolderError
from dnagpt_hf.cli import app

NAME = "org/dnagpt-test"
TOKEN = "hf_of_a_member"
STRANGER = "hf_of_a_stranger"
TEMPLATE = "{}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
SHARDED = {"model.safetensors.index.json", "model-00001-of-00002.safetensors"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """An empty Hub that the client of this process talks to."""
    with hub_server(**{TOKEN: {"org"}, STRANGER: {"stranger"}}) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", TEMPLATE.format(hub.url))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        # clients that keep the address that they first saw: of functions, and of Transformers
        monkeypatch.setattr(hf_api.api, "endpoint", hub.url)
        monkeypatch.setattr("transformers.utils.hub._hf_api", None, raising=False)
        yield hub


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return init_checkpoint("dnagpt-test", tmp_path_factory.mktemp("made") / "test", kmer_size=3)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A checkpoint that a test may change, with what training leaves beside it."""
    folder = Path(shutil.copytree(made, tmp_path / "test"))
    for name in ("training_args.bin", "optimizer.pt", "predictions.parquet", "trainer_state.json"):
        (folder / name).write_bytes(b"mine")
    (folder / "checkpoint-5").mkdir()
    (folder / "checkpoint-5" / "model.safetensors").write_bytes(b"mine")
    (folder / "metrics.json").write_text("{}")
    return folder


def change_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["model.norm.weight"] = weights["model.norm.weight"] + 1
    save_file(weights, path, metadata={"format": "pt"})


def assert_same_weights(first: torch.nn.Module, second: torch.nn.Module) -> None:
    weights = second.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in first.state_dict().items())


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["push", *arguments])
    # progress of an upload is shown on standard error
    return result.exit_code, result.stdout or result.stderr


def test_what_belongs_to_the_checkpoint_is_there_and_nothing_else(hub: Hub, folder: Path) -> None:
    published = push_checkpoint(folder, NAME)
    repository = hub.repositories[NAME]
    uploaded = repository.files()
    assert published.commit == repository.branches["main"]
    assert published.changed
    assert set(uploaded) - {"tokenizer.json"} == {
        *(".gitattributes", "README.md", "config.json", "generation_config.json", "metrics.json"),
        *("model.safetensors", "tokenizer_config.json"),
        *(path.name for path in CODE),
    }
    assert set(published.files) == set(uploaded) - {".gitattributes"}
    assert uploaded["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    # one commit after the one that made the repository
    assert len(repository.commits) == 2
    assert f'folder = "{NAME}"' in uploaded["README.md"].decode()


def test_configurations_do_not_say_where_they_were_loaded_from(folder: Path) -> None:
    place = {"_name_or_path": "/data/me/model", "name_or_path": "/data/me/model"}
    place |= {"is_local": True, "local_files_only": True}
    for name in ("config.json", "tokenizer_config.json"):
        fields = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(fields | place))
        published = checkpoint_files(folder)[name]
        assert isinstance(published, bytes)
        assert not json.loads(published).keys() & place.keys()
        assert json.loads(published).keys() >= fields.keys() - place.keys()


def test_a_checkpoint_of_this_package_gets_its_code(hub: Hub) -> None:
    push_checkpoint("dnagpt-tiny", "org/dnagpt-tiny")
    uploaded = hub.repositories["org/dnagpt-tiny"].files()
    for path in CODE:
        assert uploaded[path.name] == path.read_bytes()
    assert json.loads(uploaded["config.json"])["auto_map"]["AutoModel"] == (
        "modeling_dnagpt.DNAGPTModel"
    )
    assert "AutoTokenizer" in json.loads(uploaded["tokenizer_config.json"])["auto_map"]
    assert uploaded["model.safetensors"] == (bundled() / "model.safetensors").read_bytes()


def test_code_of_two_versions_is_not_mixed(folder: Path) -> None:
    own = [folder / path.name for path in CODE]
    files = checkpoint_files(folder)
    assert [files[path.name] for path in CODE] == own
    own[0].unlink()
    files = checkpoint_files(folder)
    assert [files[path.name] for path in CODE] == list(CODE)


def test_pushed_twice_there_is_one_commit(hub: Hub, folder: Path) -> None:
    first = push_checkpoint(folder, NAME)
    uploads = hub.asked("PUT")
    second = push_checkpoint(folder, NAME)
    assert (second.commit, second.changed) == (first.commit, False)
    assert hub.asked("PUT") == uploads
    change_weights(folder)
    third = push_checkpoint(folder, NAME, message="Other weights")
    assert third.changed
    assert hub.repositories[NAME].messages[third.commit] == "Other weights"


def test_files_of_an_earlier_checkpoint_go(hub: Hub, folder: Path, tmp_path: Path) -> None:
    """A model.safetensors beside new shards would be loaded in their place."""
    push_checkpoint(folder, NAME)
    api = HfApi()
    api.upload_file(path_or_fileobj=b"mine", path_in_repo="LICENSE", repo_id=NAME)
    sharded = init_checkpoint(
        "dnagpt-test", tmp_path / "sharded", kmer_size=3, max_shard_size="100KB"
    )
    before = len(hub.repositories[NAME].commits)
    published = push_checkpoint(sharded, NAME)
    assert set(published.removed) == {"metrics.json", "model.safetensors"}
    # old files go in the commit that brings the new ones
    assert len(hub.repositories[NAME].commits) == before + 1
    uploaded = hub.repositories[NAME].files()
    assert set(uploaded) >= SHARDED | {"LICENSE"}
    assert not set(uploaded) & set(published.removed)
    assert push_checkpoint(folder, NAME).removed == tuple(
        sorted(path.name for path in sharded.glob("model[.-]*"))
    )


def test_branch_and_tag(hub: Hub, folder: Path) -> None:
    first = push_checkpoint(folder, NAME, tag="v1")
    change_weights(folder)
    second = push_checkpoint(folder, NAME, revision="longer")
    repository = hub.repositories[NAME]
    assert repository.branches == {"main": first.commit, "longer": second.commit}
    assert repository.tags == {"v1": first.commit}
    with pytest.raises(PublishingError, match="tag 'v1' already"):
        push_checkpoint(folder, NAME, tag="v1")
    assert repository.branches["main"] == first.commit
    with pytest.raises(PublishingError, match="is a commit: give the name of a branch"):
        push_checkpoint(folder, NAME, revision=first.commit)


def test_a_branch_is_compared_with_itself_and_not_with_main(
    hub: Hub, folder: Path, tmp_path: Path
) -> None:
    push_checkpoint(folder, NAME)
    sharded = init_checkpoint(
        "dnagpt-test", tmp_path / "sharded", kmer_size=3, max_shard_size="100KB"
    )
    first = push_checkpoint(sharded, NAME, revision="sharded", tag="v1")
    assert hub.repositories[NAME].tags == {"v1": first.commit}
    assert not push_checkpoint(sharded, NAME, revision="sharded").changed
    assert push_checkpoint(folder, NAME).removed == ()
    assert set(push_checkpoint(folder, NAME, revision="sharded").removed) >= SHARDED


def test_private(hub: Hub, folder: Path) -> None:
    push_checkpoint(folder, NAME, private=True)
    assert hub.repositories[NAME].private
    push_checkpoint(folder, "org/seen", private=False)
    before = dict(hub.repositories["org/seen"].branches)
    change_weights(folder)
    with pytest.raises(PublishingError, match="exists and is public, so nothing was uploaded"):
        push_checkpoint(folder, "org/seen", private=True)
    assert hub.repositories["org/seen"].branches == before


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def _rewrite_card(old: str, new: str) -> Any:
    def rewrite(folder: Path) -> None:
        path = folder / "README.md"
        path.write_text(path.read_text().replace(old, new))

    return rewrite


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (_cut, CheckpointFolderError, "model.safetensors is cut off or damaged"),
        (_pickle, CheckpointFolderError, "pytorch_model.bin is a pickle"),
        (lambda folder: (folder / "tokenizer_config.json").unlink(), ValueError, "tokenizer"),
        (lambda folder: (folder / "README.md").unlink(), CardError, "a model card is needed"),
        (_rewrite_card("license: apache-2.0\n", ""), CardError, "no license"),
        (_rewrite_card("license: apache-2.0", "license: unknown"), CardError, "find out"),
        (_rewrite_card("license: apache-2.0", "license: other"), CardError, "no license_name"),
        (_rewrite_card("license: apache-2.0", "license: ["), CardError, "metadata is damaged"),
        (
            _rewrite_card(
                "license: apache-2.0",
                "license: apache-2.0\nmodel-index:\n- name: x\n  results:\n  - task: {type: t}\n"
                "    dataset: {type: d, name: d}\n    metrics: [{type: mcc, value: good}]",
            ),
            CardError,
            "'good' for mcc: state what was measured",
        ),
    ],
)
def test_nothing_of_a_damaged_folder_is_uploaded(
    hub: Hub, folder: Path, damage: Any, error: type[Exception], message: str
) -> None:
    damage(folder)
    with pytest.raises(error, match=message):
        push_checkpoint(folder, NAME)
    assert hub.site.requests == []


@pytest.mark.parametrize("name", ["dnagpt-test", "models/org/x", "org/a--b", "org/", "/x"])
def test_names_that_are_none(hub: Hub, folder: Path, name: str) -> None:
    with pytest.raises(PublishingError, match=r"is no (full name of a model|name) on the Hub"):
        push_checkpoint(folder, name)
    assert hub.site.requests == []


def test_who_may_not_write_is_told_so(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output = run(str(folder), NAME, "--token", STRANGER)
    assert code == 1
    assert output.startswith(f"dnagpt: error: {NAME} was not published: your token may not write")
    code, wrong = run(str(folder), NAME, "--token", "hf_wrong")
    monkeypatch.delenv("HF_TOKEN")
    nobody = run(str(folder), NAME)
    for line in (output, wrong, nobody[1]):
        assert line.count("\n") == 1
        assert "hf_" not in line
    for line in (wrong, nobody[1]):
        assert "the Hub does not know who you are: log in with hf auth login" in line
    assert hub.repositories == {}


@pytest.mark.parametrize("given", [TOKEN, None])
def test_no_token_in_what_the_server_says(hub: Hub, folder: Path, given: str | None) -> None:
    hub.site.faults["/api/repos/create"].append(Fault(status=500))
    with pytest.raises(PublishingError, match=r"told to fail Bearer …") as caught:
        push_checkpoint(folder, NAME, token=given)
    assert TOKEN not in str(caught.value)


def test_no_connection(folder: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    code, output = run(str(folder), NAME)
    assert (code, output.count("\n")) == (1, 1)
    assert "the Hub cannot be reached" in output
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set: unset it to publish" in run(str(folder), NAME)[1]


def test_what_the_hub_says_about_a_card(hub: Hub, folder: Path) -> None:
    _rewrite_card("license: apache-2.0", "license: my own")(folder)
    with pytest.raises(PublishingError, match=r"Invalid metadata in README.*must be one of"):
        push_checkpoint(folder, NAME)
    assert hub.asked("PUT") == []


def test_a_failed_upload_commits_nothing(hub: Hub, folder: Path) -> None:
    stored = hub.stored((folder / "model.safetensors").read_bytes())
    hub.site.faults[stored].append(Fault(status=403))
    with pytest.raises(PublishingError, match=r"uploading 'model\.safetensors'"):
        push_checkpoint(folder, NAME)
    assert set(hub.repositories[NAME].files()) == {".gitattributes"}


def test_the_command(hub: Hub, folder: Path) -> None:
    code, output = run(str(folder), NAME, "--dry-run")
    assert code == 0
    assert hub.site.requests == []
    listed = {line.split()[1]: line.split()[0] for line in output.splitlines()[:-1]}
    size = (folder / "model.safetensors").stat().st_size
    assert listed["model.safetensors"] == f"{size:,}"
    assert output.endswith("bytes in all; nothing was uploaded\n")
    code, output = run(str(folder), NAME, "--message", "First")
    commit = hub.repositories[NAME].branches["main"]
    assert output == f"{hub.url}/{NAME}: {len(listed)} files, commit {commit[:8]}\n"
    assert run(str(folder), NAME)[1] == (
        f"{hub.url}/{NAME}: nothing has changed since commit {commit[:8]}\n"
    )


def write_adapter(folder: Path) -> Path:
    """An adapter of dnagpt-tiny, as fine-tuning writes them."""
    peft = pytest.importorskip("peft")
    model = DNAGPTForMultiTask.from_pretrained(bundled())
    tuned = peft.get_peft_model(model, peft.LoraConfig(target_modules=["q_proj"]))
    tuned.peft_config["default"].base_model_name_or_path = "dnagpt-tiny"
    tuned.save_pretrained(folder)
    for name in ("config.json", "tokenizer_config.json", "README.md"):
        shutil.copy(bundled() / name, folder / name)
    return folder


def test_an_adapter_names_its_base_on_the_hub(hub: Hub, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "adapter")
    with pytest.raises(CheckpointFolderError, match=r"adapter of 'dnagpt-tiny', .*\(--base\)"):
        push_checkpoint(folder, NAME)
    with pytest.raises(CheckpointFolderError, match="needs no base"):
        push_checkpoint("dnagpt-tiny", NAME, base="org/dnagpt-tiny")
    push_checkpoint(folder, NAME, base="org/dnagpt-tiny")
    uploaded = hub.repositories[NAME].files()
    assert "model.safetensors" not in uploaded
    assert uploaded["adapter_model.safetensors"]
    config = json.loads(uploaded["adapter_config.json"])
    assert config["base_model_name_or_path"] == "org/dnagpt-tiny"
    assert "base_model: org/dnagpt-tiny" in uploaded["README.md"].decode()


def test_the_commands_of_the_page_on_publishing(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    folder.rename("promoters")
    write_adapter(Path("adapter"))
    hub.tokens[TOKEN] = {"ORG"}
    page = (Path(__file__).parents[2] / "docs" / "publishing.md").read_text(encoding="utf-8")
    commands = re.findall(r"^dnagpt push (.*)$", page, re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        code, output = run(*shlex.split(command))
        assert code == 0, f"{command}: {output}"
    assert set(hub.repositories) >= {"ORG/promoters", "ORG/dnagpt-tiny"}


def test_push_to_hub_of_transformers_brings_the_code(hub: Hub) -> None:
    name = "org/of-transformers"
    DNAGPTForMultiTask.from_pretrained(bundled()).push_to_hub(name)
    DNAGPTTokenizer.from_pretrained(bundled()).push_to_hub(name)
    uploaded = hub.repositories[name].files()
    assert set(uploaded) >= {path.name for path in CODE} | {"model.safetensors"}
    maps = {
        file: json.loads(uploaded[file])["auto_map"]
        for file in ("config.json", "tokenizer_config.json")
    }
    assert len(maps["config.json"]) == 4
    assert "--" not in json.dumps(maps)


def test_a_second_load_downloads_nothing(hub: Hub, made: Path) -> None:
    push_checkpoint(made, NAME)
    hub.site.requests.clear()
    first = AutoModelForCausalLM.from_pretrained(NAME)
    AutoTokenizer.from_pretrained(NAME)
    assert len(hub.asked("GET", "/storage/")) == 1
    downloads = hub.asked("GET", "/resolve/")
    assert len(downloads) == len(set(downloads)) >= 3
    hub.site.requests.clear()
    second = AutoModelForCausalLM.from_pretrained(NAME)
    AutoTokenizer.from_pretrained(NAME)
    assert hub.asked("GET", "/storage/") + hub.asked("GET", "/resolve/") == []
    assert_same_weights(first, second)
    assert_same_weights(first, DNAGPTForMultiTask.from_pretrained(made))


def test_a_published_checkpoint_is_opened_by_its_name(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_checkpoint(folder, NAME)
    HfApi().upload_file(path_or_fileobj=b"mine", path_in_repo="pytorch_model.bin", repo_id=NAME)
    checkpoint = open_checkpoint(NAME)
    assert_same_weights(checkpoint.load_model(), DNAGPTForMultiTask.from_pretrained(folder))
    assert checkpoint.tokenizer.kmer_size == 3
    # neither pickles nor code are downloaded
    assert not {path.suffix for path in checkpoint.folder.iterdir()} & {".bin", ".py"}
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert open_checkpoint(NAME, local_files_only=True).folder == checkpoint.folder
    with pytest.raises(CheckpointFolderError, match=r"^org/other: no such checkpoint folder"):
        open_checkpoint("org/other")


def test_a_sharded_checkpoint(hub: Hub, made: Path, tmp_path: Path) -> None:
    sharded = init_checkpoint(
        "dnagpt-test", tmp_path / "sharded", kmer_size=3, max_shard_size="100KB"
    )
    push_checkpoint(sharded, NAME)
    assert set(hub.repositories[NAME].files()) >= SHARDED
    loaded = AutoModelForCausalLM.from_pretrained(NAME)
    assert_same_weights(loaded, DNAGPTForMultiTask.from_pretrained(made))


def test_a_private_one_is_read_with_a_token(
    hub: Hub, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_checkpoint(made, NAME, private=True)
    DNAGPTTokenizer.from_pretrained(NAME)
    # the storage is elsewhere, and is not told the token
    stored = [headers for _, path, headers in hub.site.requests if path.startswith("/storage/")]
    assert stored
    assert not any("authorization" in map(str.lower, headers) for headers in stored)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(made / "no cache"))
    with pytest.raises(OSError, match=r"not a valid model identifier|Repository Not Found"):
        DNAGPTTokenizer.from_pretrained(NAME, token=False)


def test_a_dropped_download_goes_on_where_it_stopped(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 4096)
    push_checkpoint(folder, NAME)
    content = (folder / "model.safetensors").read_bytes()
    stored = hub.stored(content)
    hub.site.faults[stored].append(Fault(drop_after=70_000))
    try:
        path = hf_hub_download(NAME, "model.safetensors")
    except HTTPError:
        # older clients give up, and go on when they are asked again
        path = hf_hub_download(NAME, "model.safetensors")
    assert Path(path).read_bytes() == content
    first, second = hub.site.ranges(stored)
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= 70_000
