"""Some seconds of scripts/soak.sh: mixed load, every kind of fault, memory."""

import pytest
import soak

SECONDS = 20


@pytest.mark.proxy_only
@pytest.mark.long
@pytest.mark.timeout(SECONDS + 240)
def test_a_soak_without_violations(capsys):
    lines = []
    operations, faults, violations, memory = soak.soak(SECONDS, 2, lines.append)
    with capsys.disabled():
        print("", *lines, sep="\n  ")
    assert operations > 100 and faults > 5 and memory
    assert not violations, "\n".join(violations[:20])
