"""Patterns that the extension matches itself: what it takes, pydantic takes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError, create_model

from conftest import examples
from mongosluice.offload.beanie import encoding, instances
from mongosluice.offload.beanie.encoding import native
from mongosluice.offload.beanie.simple_patterns import compile_pattern

pytestmark = pytest.mark.skipif(native is None, reason="the extension is not built")


def taken(pattern, text):
    """(by the extension alone, by pydantic)"""
    model = create_model("Model", f=(str, Field(pattern=pattern)))
    shape = encoding.make_shape(model, encoding.model_keys(model), None)
    fields, *rest = instances.Builder(model, lambda cls: None).specification()
    name, first, second, node, *default = fields[0]
    assert node[0] == instances.STR
    alone = (name, first, second, (*node[:2], None, *node[3:]), *default)  # it has nobody to ask
    shape.set_fields((alone,), *rest)
    try:
        model(f=text)
    except ValidationError:
        return shape.build({"f": text}) is not None, False
    return shape.build({"f": text}) is not None, True


@pytest.mark.parametrize(("pattern", "good", "wrong"), [
    (r"^[A-Z]{3}-\d{6}$", ["ABC-123456"], ["ABC-12345", "abc-123456", "ABC-1234567", "ABC-123456\n"]),
    (r"^[\w.+-]+@[\w-]+\.[a-z]{2,}$", ["a.b+c-d@e-f.org"], ["@e.org", "a@b", "a@b.c", "a b@c.de"]),
    (r"^[^\s@]+@[^\s@]+$", ["a@b"], ["a@", "a@b@c", "a b@c"]),
    (r"^\+?\d{1,3}$", ["+12", "1"], ["", "+", "++1", "1234"]), (r"^a*a$", ["a", "aaa"], ["", "ab"]),
    (r"^$", [""], ["a"]), (r"^.{0,2}$", ["", "ab"], ["abc", "\n"]), (r"^x?y?z?$", ["", "xz"], ["zx"]),
])
def test_patterns(pattern, good, wrong):
    assert compile_pattern(pattern) is not None
    assert [taken(pattern, one) for one in good] == [(True, True)] * len(good)
    assert [taken(pattern, one) for one in wrong] == [(False, False)] * len(wrong)


@pytest.mark.parametrize("pattern", [
    "a", "^a", "a$", "^a|b$", "^(a)$", r"^\bx$", "^[a", r"^a\$", "^[[:alpha:]]$", "^[a&&b]$", "^a+?$", "^a++$", "^é$",
    r"^\x41$", "^a{,3}$", "^a{3,2}$", "^[]a]$", r"^[\d-z]$", r"^[^-a]$", r"^\p{L}$", "^" + "a" * 17 + "$", r"^[a\]$", "^a{2$",
])
def test_what_is_more_than_a_row_is_pydantics(pattern):
    assert compile_pattern(pattern) is None


def test_digits_of_other_scripts_are_pydantics():
    assert taken(r"^\d$", "٣") == (False, True)


def test_trying_ends():
    class Slow(BaseModel):
        f: str = Field(pattern="^" + "a*" * 15 + "b$")

    pattern = Slow.model_fields["f"].metadata[0].pattern
    assert taken(pattern, "a" * 500) == (False, False) and taken(pattern, "a" * 5 + "b") == (True, True)


classes = st.sampled_from(["a", "[ab]", "[^a]", r"\d", ".", r"\.", "[a-c0-2]", r"[\w-]", r"\S", "b"])
counts = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,2}", "{0,}"])


@settings(max_examples=examples(200), deadline=None)
@given(atoms=st.lists(st.tuples(classes, counts), max_size=5), text=st.text("ab0.-\né", max_size=8))
def test_what_is_taken_is_right(atoms, text):
    pattern = "^" + "".join(one + count for one, count in atoms) + "$"
    ours, alone = taken(pattern, text)
    assert ours == (alone and text.isascii())
