"""No insert runs as another user than its client's, whatever logins came before it (identity_play.py). The random plays
are the same each time, or those of the seed SLUICE_ATTACK_SEED. `scripts/abuse.sh identity` plays new ones for a given time."""

import contextlib
import os
import random

import identity_play
import pytest

pytestmark = pytest.mark.proxy_only
SEED = int(os.environ.get("SLUICE_ATTACK_SEED", "1"))
RANDOM_PLAYS = 25


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    server = identity_play.start_server(tmp_path_factory.mktemp("identity"))
    with contextlib.closing(identity_play.Scene(server)) as scene:
        yield scene
    server.stop()


@pytest.mark.parametrize("name", identity_play.PLAYS)
def test_plays_that_a_person_thought_of(scene, name):
    assert identity_play.compare(scene, identity_play.PLAYS[name]) == []


@pytest.mark.long
def test_plays_that_nobody_thought_of(scene, capsys):
    with capsys.disabled():
        print(f"\n  identity: seed {SEED}")
    dice = random.Random(SEED)
    for _ in range(RANDOM_PLAYS):
        play = identity_play.random_play(dice)
        assert identity_play.compare(scene, play) == [], f"seed {SEED}: {play}"


def test_inserts_are_merged_meanwhile(scene):
    """Checks the precondition of the other tests."""
    scene.proxy.wait_for_counter("mergedBatches", 51)  # this process may have run none of them
    assert identity_play.batches(scene) > 50
