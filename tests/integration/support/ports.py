"""Ports of the loopback that have no listener."""

import contextlib
import random
import socket


def free_port(host="127.0.0.1"):
    """A port that stays free until a program listens on it, also while that program starts again."""
    return free_ports(1, host)


@contextlib.contextmanager
def refusing_port(host="127.0.0.1"):
    """A port that refuses connections and that no other process can take: bound, not listening."""
    with socket.socket() as holder:
        holder.bind((host, 0))
        yield holder.getsockname()[1]


def free_ports(count, host="127.0.0.1"):
    """The first of `count` consecutive ports that are all free: from below the range that the system
    takes for outgoing connections, which leave their ports occupied for a minute."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(200):
        first = random.SystemRandom().randrange(10000, 32000 - count)
        probes = []
        try:
            for port in range(first, first + count):
                probe = socket.socket(family)
                probes.append(probe)
                probe.bind((host, port))
            return first
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
    raise OSError(f"no {count} consecutive free ports")
