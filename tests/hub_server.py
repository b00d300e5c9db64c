"""A server on this machine that speaks the protocol of the Hugging Face Hub, as far as it is used.

Large files go to `/storage/`, to which a repository points, and which is a plain web server: what
`webserver` can do to a download, it can do to one of these.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from webserver import Handler, Server, web_server

STORAGE = "/storage/"
LICENCES = ("apache-2.0", "other", "unknown")


@dataclass(frozen=True)
class StoredFile:
    """A file of a commit; a large one is kept in the storage, by its SHA-256."""

    content: bytes
    large: bool

    @property
    def oid(self) -> str:
        if self.large:
            return hashlib.sha256(self.content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()

    def listed(self, path: str) -> dict[str, Any]:
        entry = {"type": "file", "path": path, "size": len(self.content), "oid": self.oid}
        if self.large:
            entry["lfs"] = {"oid": self.oid, "size": len(self.content), "pointerSize": 134}
        return entry


@dataclass
class Repository:
    """Commits by their ids, and the names that point to them."""

    private: bool = False
    commits: dict[str, dict[str, StoredFile]] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, StoredFile], message: str) -> str:
        before = self.branches.get(branch, "")
        listing = json.dumps([before, message, {path: one.oid for path, one in files.items()}])
        oid = hashlib.sha1(listing.encode()).hexdigest()
        self.commits[oid], self.messages[oid], self.branches[branch] = files, message, oid
        return oid

    def find(self, revision: str) -> str | None:
        oid = self.branches.get(revision, self.tags.get(revision, revision))
        return oid if oid in self.commits else None

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """Content of the files of a revision."""
        oid = self.find(revision)
        assert oid is not None
        return {path: one.content for path, one in self.commits[oid].items()}


@dataclass
class Hub:
    """Repositories, and who may write where.

    Args:
        site: the web server below.
        tokens: names that the owner of each token may write to.
        repositories: by ORG/NAME.
    """

    site: Server
    tokens: dict[str, set[str]] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.site.url

    def stored(self, content: bytes) -> str:
        """The path of a large file in the storage."""
        return STORAGE + hashlib.sha256(content).hexdigest()

    def asked(self, method: str, part: str = "") -> list[str]:
        """Paths of the requests of a method so far, of those that hold this part."""
        return [path for asked, path, _ in self.site.requests if asked == method and part in path]


class Refusal(Exception):
    """An answer that is an error, as the Hub gives them."""

    def __init__(
        self, status: int, message: str, code: str = "", url: str = "", **headers: str
    ) -> None:
        super().__init__(message)
        self.status = status
        self.url = url
        self.headers = {"X-Error-Message": message, **headers}
        if code:
            self.headers["X-Error-Code"] = code


class HubHandler(Handler):
    hub: Hub

    def do_POST(self) -> None:
        self.answer(body=True)

    def do_PUT(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        if path.startswith(STORAGE) and self.command != "PUT":
            super().answer(body)
            return
        sent = self.received()
        self.hub.site.requests.append((self.command, path, dict(self.headers)))
        waiting = self.hub.site.faults[path]
        try:
            if waiting and waiting[0].status:
                said = self.headers.get("Authorization", "")
                raise Refusal(waiting.pop(0).status, f"told to fail {said}")
            self.dispatch(path, sent)
        except Refusal as refusal:
            content = json.dumps({"error": str(refusal), "url": refusal.url}).encode()
            self.reply(content, refusal.status, refusal.headers)

    def received(self) -> bytes:
        """The body of a request, of known length or in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def reply(self, content: bytes, status: int = 200, headers: Mapping[str, str] = {}) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def give(self, content: Any) -> None:
        self.reply(json.dumps(content).encode(), headers={"Content-Type": "application/json"})

    def dispatch(self, path: str, sent: bytes) -> None:
        command = "GET" if self.command == "HEAD" else self.command
        for pattern, method in ROUTES:
            if found := re.fullmatch(pattern, f"{command} {path}"):
                method(self, sent, **{k: v for k, v in found.groupdict().items() if v})
                return
        raise Refusal(404, f"no such page: {command} {path}")

    # -- who may do what ---------------------------------------------------------------------------

    def owned(self) -> set[str]:
        """Names that the sender may write to."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.hub.tokens:
            raise Refusal(401, "Invalid credentials in Authorization header")
        return self.hub.tokens.get(token, set())

    def readable(self, name: str) -> Repository:
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and name.split("/")[0] not in self.owned()):
            raise Refusal(401, "Repository not found", "RepoNotFound")
        return repository

    def writable(self, name: str) -> Repository:
        if name.split("/")[0] not in self.owned():
            raise Refusal(403, f"You don't have the rights to write to {name}")
        return self.readable(name)

    def found(self, name: str, revision: str) -> str:
        oid = self.readable(name).find(revision)
        if oid is None:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return oid

    # -- the API -----------------------------------------------------------------------------------

    def create(self, sent: bytes) -> None:
        asked = json.loads(sent)
        if not self.owned():
            raise Refusal(401, "Invalid username or password.")
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] not in self.owned():
            raise Refusal(403, f"You don't have the rights to create a model under {name}")
        if name in self.hub.repositories:
            raise Refusal(409, "You already created this model repo", url=f"{self.hub.url}/{name}")
        # older clients say private, newer ones visibility
        private = asked.get("private") is True or asked.get("visibility") == "private"
        repository = self.hub.repositories[name] = Repository(private)
        repository.commit("main", {".gitattributes": StoredFile(b"", False)}, "initial commit")
        self.give({"url": f"{self.hub.url}/{name}"})

    def info(self, sent: bytes, name: str, revision: str = "main") -> None:
        repository, oid = self.readable(name), self.found(name, revision)
        siblings = [{"rfilename": path} for path in repository.commits[oid]]
        self.give({"id": name, "sha": oid, "private": repository.private, "siblings": siblings})

    def tree(self, sent: bytes, name: str, revision: str, folder: str = "") -> None:
        files = self.readable(name).commits[self.found(name, revision)]
        if folder:
            raise Refusal(404, f"{folder} does not exist", "EntryNotFound")
        self.give([one.listed(path) for path, one in files.items()])

    def refs(self, sent: bytes, name: str) -> None:
        repository = self.readable(name)
        kinds = {"branches": ("heads", repository.branches), "tags": ("tags", repository.tags)}
        listed = {
            kind: [
                {"name": ref, "ref": f"refs/{where}/{ref}", "targetCommit": oid}
                for ref, oid in refs.items()
            ]
            for kind, (where, refs) in kinds.items()
        }
        self.give({**listed, "converts": []})

    def branch(self, sent: bytes, name: str, branch: str) -> None:
        repository = self.writable(name)
        if branch in repository.branches:
            raise Refusal(409, "Reference already exists")
        start = json.loads(sent).get("startingPoint", "main")
        repository.branches[branch] = self.found(name, start)
        self.give({})

    def tag(self, sent: bytes, name: str, revision: str) -> None:
        repository, tag = self.writable(name), json.loads(sent)["tag"]
        if tag in repository.tags:
            raise Refusal(409, "Tag reference exists already")
        repository.tags[tag] = self.found(name, revision)
        self.give({})

    def validate(self, sent: bytes) -> None:
        content = json.loads(sent)["content"]
        metadata = yaml.safe_load(content.split("---")[1])
        if metadata.get("license", "other") in LICENCES:
            self.give({"errors": [], "warnings": []})
            return
        errors = {"errors": [{"message": '"license" must be one of a list'}], "warnings": []}
        self.reply(json.dumps(errors).encode(), 400)

    def preupload(self, sent: bytes, name: str, revision: str) -> None:
        self.writable(name)
        there = self.readable(name).commits[self.found(name, revision)]
        files = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if is_large(one["path"], one["size"]) else "regular",
                "shouldIgnore": False,
                "oid": there[one["path"]].oid if one["path"] in there else None,
            }
            for one in json.loads(sent)["files"]
        ]
        self.give({"files": files})

    def batch(self, sent: bytes, name: str) -> None:
        self.writable(name)
        objects = json.loads(sent)["objects"]
        for one in objects:
            if STORAGE + one["oid"] not in self.hub.site.files:
                href = f"{self.hub.url}{STORAGE}{one['oid']}"
                one["actions"] = {"upload": {"href": href}}
        self.give({"transfer": "basic", "objects": objects})

    def store(self, sent: bytes, oid: str) -> None:
        if hashlib.sha256(sent).hexdigest() != oid:
            raise Refusal(400, "the content is not what was announced")
        self.hub.site.add(STORAGE + oid, sent)
        self.give({})

    def commit(self, sent: bytes, name: str, revision: str) -> None:
        repository = self.writable(name)
        if revision not in repository.branches:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        files = dict(repository.commits[repository.branches[revision]])
        lines = [json.loads(line) for line in sent.splitlines()]
        for line in lines[1:]:
            value, path = line["value"], line["value"]["path"]
            if line["key"] == "file":
                files[path] = StoredFile(base64.b64decode(value["content"]), False)
            elif line["key"] == "lfsFile":
                content = self.hub.site.files.get(STORAGE + value["oid"])
                if content is None:
                    raise Refusal(400, f"{path} was not uploaded")
                files[path] = StoredFile(content, True)
            else:
                del files[path]
        oid = repository.commit(revision, files, lines[0]["value"]["summary"])
        url = f"{self.hub.url}/{name}/commit/{oid}"
        self.give({"success": True, "commitOid": oid, "commitUrl": url})

    def resolve(self, sent: bytes, name: str, revision: str, path: str) -> None:
        oid = self.found(name, revision)
        file = self.readable(name).commits[oid].get(path)
        headers = {"X-Repo-Commit": oid}
        if file is None:
            raise Refusal(404, "Entry not found", "EntryNotFound", **headers)
        headers |= {"ETag": f'"{file.oid}"', "X-Linked-Size": str(len(file.content))}
        if file.large:
            # elsewhere, so that the client does not follow before it has read these headers
            location = f"{self.hub.url.replace('127.0.0.1', 'localhost')}{STORAGE}{file.oid}"
            headers |= {"X-Linked-ETag": f'"{file.oid}"', "Location": location}
            self.reply(b"", 302, headers)
        else:
            self.reply(file.content, 200, headers)


def is_large(path: str, size: int) -> bool:
    return size > 10_000_000 or fnmatch.fnmatch(path, "*.safetensors")


_NAME, _REVISION = r"(?P<name>[^/]+/[^/]+)", r"(?P<revision>[^/]+)"
_MODEL = f"/api/models/{_NAME}"
ROUTES: tuple[tuple[str, Any], ...] = (
    ("POST /api/repos/create", HubHandler.create),
    ("POST /api/validate-yaml", HubHandler.validate),
    (f"GET {_MODEL}", HubHandler.info),
    (f"GET {_MODEL}/revision/{_REVISION}", HubHandler.info),
    (f"GET {_MODEL}/tree/{_REVISION}(/(?P<folder>.+))?", HubHandler.tree),
    (f"GET {_MODEL}/refs", HubHandler.refs),
    (f"POST {_MODEL}/branch/(?P<branch>.+)", HubHandler.branch),
    (f"POST {_MODEL}/tag/{_REVISION}", HubHandler.tag),
    (f"POST {_MODEL}/preupload/{_REVISION}", HubHandler.preupload),
    (f"POST {_MODEL}/commit/{_REVISION}", HubHandler.commit),
    (f"POST /{_NAME}\\.git/info/lfs/objects/batch", HubHandler.batch),
    (f"PUT {STORAGE}(?P<oid>.+)", HubHandler.store),
    (f"GET /{_NAME}/resolve/{_REVISION}/(?P<path>.+)", HubHandler.resolve),
)


@contextmanager
def hub_server(**tokens: set[str]) -> Iterator[Hub]:
    """A Hub in a thread, until the end of the block."""
    handler = type("ThisHub", (HubHandler,), {})
    with web_server(handler) as site:
        handler.hub = Hub(site, dict(tokens))
        yield handler.hub
