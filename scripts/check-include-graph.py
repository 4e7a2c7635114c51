#!/usr/bin/env python3
"""Draws the include graph of each room of src/ and of the rooms themselves, and fails on a circle. A module is a .c
file with the header of its name, or a header alone. The level of a module is the length of its longest include
chain, so without circles every include goes from a higher module to a lower one.

    check-include-graph.py [--draw text|dot] [ROOM...]
"""

import argparse
import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
ROOMS = "rooms"


class Graph:
    """Modules, the modules that each includes, and the lines of these includes."""

    def __init__(self):
        self.edges = {}
        self.places = {}

    def add(self, module, other=None, place=None):
        self.edges.setdefault(module, set())
        if other is not None and other != module:
            self.edges.setdefault(other, set())
            self.edges[module].add(other)
            self.places.setdefault((module, other), place)

    def components(self):
        """Tarjan's strongly connected components, lowest first."""
        index, low, stack, found = {}, {}, [], []

        def visit(node):
            index[node] = low[node] = len(index)
            stack.append(node)
            for other in sorted(self.edges[node]):
                if other not in index:
                    visit(other)
                if other in stack:
                    low[node] = min(low[node], low[other])
            if low[node] == index[node]:
                at = stack.index(node)
                found.append(sorted(stack[at:]))
                del stack[at:]
        for node in sorted(self.edges):
            if node not in index:
                visit(node)
        return found

    def circles(self):
        return [component for component in self.components() if len(component) > 1]

    def levels(self):
        """{module: level}; the modules of a circle share a level."""
        levels = {}
        for component in self.components():
            below = {other for node in component for other in self.edges[node]} - set(component)
            level = 1 + max((levels[other] for other in below), default=-1)
            levels.update(dict.fromkeys(component, level))
        return levels


def read_graphs(src):
    """{room: its graph}, and under ROOMS the graph of the rooms."""
    graphs = {ROOMS: Graph()}
    for path in sorted(src.glob("*/**/*.[ch]")):
        room = path.relative_to(src).parts[0]
        module = str(path.relative_to(src / room).with_suffix(""))
        graphs.setdefault(room, Graph()).add(module)
        graphs[ROOMS].add(room)
        text = path.read_text()
        for match in INCLUDE.finditer(text):
            target, _, name = match[1].partition("/")
            place = f"src/{path.relative_to(src)}:{text.count(chr(10), 0, match.start(1)) + 1}"
            if target == room:
                graphs[room].add(module, name.rsplit(".", 1)[0], place)
            elif (src / target).is_dir():
                graphs[ROOMS].add(room, target, place)
    return graphs


def draw_text(name, graph):
    print(f"{name}:")
    levels = graph.levels()
    for module in sorted(levels, key=lambda one: (-levels[one], one)):
        print(f"  {levels[module]:2} {module:20} {' '.join(sorted(graph.edges[module]))}".rstrip())


def draw_dot(name, graph):
    print(f'digraph "{name}" {{\n  rankdir=TB; node [shape=box, fontname="sans-serif"];')
    for module in sorted(graph.edges):
        print(f'  "{module}";')
        for other in sorted(graph.edges[module]):
            print(f'  "{module}" -> "{other}";')
    print("}")


def explain(name, graph, circle):
    """One include of each pair that goes both ways, or all includes of a longer circle."""
    inside = [(a, b) for a in circle for b in sorted(graph.edges[a]) if b in circle]
    both = [pair for pair in inside if pair[::-1] in inside]
    yield f"src/{name}: a circle of includes: {', '.join(circle)}"
    for a, b in both or inside:
        yield f"  {graph.places[a, b]}: {a} includes {b}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--draw", choices=("text", "dot"))
    parser.add_argument("rooms", nargs="*", metavar="ROOM")
    options = parser.parse_args()
    graphs = read_graphs(Path(__file__).resolve().parents[1] / "src")
    unknown = set(options.rooms) - set(graphs)
    if unknown:
        parser.error(f"src/ has no room {', '.join(sorted(unknown))}")
    wrong = []
    for name, graph in sorted(graphs.items()):
        if options.rooms and name not in options.rooms:
            continue
        if options.draw:
            (draw_text if options.draw == "text" else draw_dot)(name, graph)
        wrong += [line for circle in graph.circles() for line in explain(name, graph, circle)]
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    if not options.draw:
        print(f"include graph: {len(graphs) - 1} rooms, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
