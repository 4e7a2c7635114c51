#!/usr/bin/env python3
"""Checks that each planted bug of tests/simulation/mutants still applies to the sources, and says in its first line
what it does wrong.

    check-mutants.py [ROOT]

"""

import subprocess
import sys
from pathlib import Path

MUTANTS = Path("tests/simulation/mutants")


def fault_of(root, patch):
    """What is wrong with the patch, or None."""
    if patch.read_text().startswith(("---", "diff ", "\n")):
        return "its first line does not say what the bug is"
    done = subprocess.run(["git", "apply", "--check", patch], cwd=root, capture_output=True, text=True, check=False)
    return done.stderr.strip().replace("\n", "; ") if done.returncode else None


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1]).resolve()
    patches = sorted((root / MUTANTS).rglob("*.patch"))
    faults = {patch.relative_to(root): fault for patch in patches if (fault := fault_of(root, patch))}
    for path, fault in faults.items():
        print(f"{path}: {fault}. Make the patch anew from the present sources", file=sys.stderr)
    if not patches:
        sys.exit(f"no patch in {root / MUTANTS}")
    print(f"mutants: {len(patches) - len(faults)} of {len(patches)} apply")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
