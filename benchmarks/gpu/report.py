"""Joins the results of run.sh into results.json and prints a table.

python report.py RESULTS
"""

import json
import pathlib
import sys


def read(path: pathlib.Path) -> dict:
    """The content of a result, or an empty one if its stage did not run."""
    return json.loads(path.read_text()) if path.exists() else {"rows": []}


def main() -> None:
    """Writes and prints what the stages measured."""
    folder = pathlib.Path(sys.argv[1])
    ours, torch = (read(folder / f"{name}.json") for name in ("programs", "pytorch"))
    by_name = {row["name"]: row for row in torch["rows"]}
    rows = []
    for row in ours["rows"]:
        peer = by_name.get(row["name"], {})
        ways = [peer[way] for way in ("eager", "compiled") if way in peer]
        rows.append({**row, **{f"pytorch_{k}_ms": v for k, v in peer.items()}})
        ratio = row["fused_ms"] / min(ways) if ways else float("nan")
        rows[-1]["ratio"] = ratio if ways else None
        print(
            f"{row['name']:34} {row['images']:4} images: fused {row['fused_ms']:8.2f} "
            f"stock {row['stock_ms']:8.2f} eager {peer.get('eager', 0):8.2f} compiled "
            f"{peer.get('compiled', 0):8.2f} ms; {ratio:.2f} of PyTorch's time"
        )
    versions = {
        k: v for found in (ours, torch) for k, v in found.items() if k != "rows"
    }
    content = {**versions, "rows": rows}
    (folder / "results.json").write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
