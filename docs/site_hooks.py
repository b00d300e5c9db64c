"""Hooks that add pages from outside docs/ to the site: model cards, changes, contributing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""
    for path in sorted((ROOT / "model_cards").glob("*.[mp][dn]*")):
        files.append(File.generated(config, f"model_cards/{path.name}", abs_src_path=str(path)))
    for name in ("CHANGELOG", "CONTRIBUTING"):
        path = ROOT / f"{name}.md"
        files.append(File.generated(config, f"{name.lower()}.md", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Rewrite links that leave docs/ to the addresses of these pages in the site."""
    return re.sub(r"\]\(\.\./(model_cards/)", r"](\1", markdown)
