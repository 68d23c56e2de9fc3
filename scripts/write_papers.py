"""Write docs/papers/ from the ledger: one page a paper and an index.

`--check` writes nothing and fails if a page is old.
"""

import sys
from pathlib import Path

from sprat.ledger import judge_paper, paper_names, read_paper
from sprat.ledger.page import index, page

FOLDER = Path(__file__).parents[1] / "docs" / "papers"


def pages() -> dict[str, str]:
    """File name to what it must contain."""
    papers = [read_paper(name) for name in paper_names()]
    judged = [(paper, judge_paper(paper)) for paper in papers]
    return {f"{paper.name}.md": page(paper, verdicts) for paper, verdicts in judged} | {"README.md": index(judged)}


def main() -> int:
    """Write the pages, or check them."""
    wanted = pages()
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    old = [name for name in {*wanted, *there} if wanted.get(name) != there.get(name)]
    if "--check" in sys.argv[1:]:
        print(f"old: {', '.join(sorted(old))}; run scripts/write_papers.py" if old else "docs/papers is current")
        return 1 if old else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in old:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
    print(f"{len(wanted)} pages in docs/papers, {len(old)} written anew")
    return 0


if __name__ == "__main__":
    sys.exit(main())
