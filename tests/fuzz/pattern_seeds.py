#!/usr/bin/env python3
"""Writes the first inputs of the fuzz target pattern into tests/fuzz/corpus. Needs only Python."""

import pathlib

CORPUS = pathlib.Path(__file__).parent / "corpus" / "pattern"
PAIRS = [
    ("^[A-Z]{3}-[0-9]+$", "ABC-12"), ("^[0-9a-f]{24}$", "0" * 24), (r"^\w+@\d{1,3}\s*$", "ab@12 "), ("a|bc|", "bc"), ("^(ab)*?c+?$", "ababcc"),
    ("[^\\]a-c\\d]", "x"), ("(?:x|[yz])?q{2,}", "yqqq"), ("\\n\\t\\x41\\u{e9}", "\n\tA"), ("(?=a)a(?!b)", "ac"), ("(?>a+)b", "aab"),
    ("^\u00e9.$", "\u00e9x"), ("(a)\\1", "aa"), ("\\bx\\B", "xy"), ("[[:alpha:]]+", "ab"), ("(?i)ABC", "abc"), ("a{0}b{2}c{,3}", "bb"),
    ("^(a+)+$", "aaaaaaaaaaaaaaaaaaaaab"), ("[\\D\\S\\W]", "!"), ("x*+y", "xxy"), ("(", ""), ("[z-a]", ""), ("a{2,1}", ""), ("\\p{L}+", "ab"),
    ("(?P<n>a)(?#c)b", "ab"), ("^$", ""), ("$", "a\n"), ("\\A\\w\\z", "a"), (".", "\n"), ("[\\n\\-x]", "-"), ("\\Q.\\E", "."), ("(?s:.)", "\n"),
]

CORPUS.mkdir(parents=True, exist_ok=True)
for i, (pattern, text) in enumerate(PAIRS):
    written = pattern.encode()
    for flavour in range(3):
        (CORPUS / f"{i:02}_{flavour}").write_bytes(bytes([flavour, len(written)]) + written + text.encode())
