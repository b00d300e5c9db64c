from dnagpt_hf.messages import count, did_you_mean, markdown_table


def test_a_noun_is_counted() -> None:
    assert [count(n, "base") for n in (0, 1, 2, 1_000_000)] == [
        "0 bases",
        "1 base",
        "2 bases",
        "1,000,000 bases",
    ]
    assert count(2, "class", "classes") == "2 classes"


def test_only_names_that_resemble_are_suggested() -> None:
    assert did_you_mean("chr2l", ["chr2", "chrX"], limit=1) == ": did you mean chr2?"
    assert did_you_mean("nothing", ["chr2", "chrX"]) == ""


def test_a_table_keeps_its_columns() -> None:
    table = markdown_table(["task", "a|b", "n"], [["<B>|x", 1.5, 2]], align="lrl")
    assert table.splitlines() == [
        "| task | a|b | n |",
        "| --- | ---: | --- |",
        r"| <B>\|x | 1.5 | 2 |",
    ]
