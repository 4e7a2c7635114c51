"""The behaviour of servers for an insert with a number (lsid and txnNumber), some of whose statements they have
executed before.

A plan lists, for each place in the server's answer, the document that the server tries there. None stands for a
statement that it recognises: it answers it as stored, and does not try it."""


def exact(count, knows):
    """Each at its own place, as servers do that carry out what they put off before they answer what they know."""
    return [None if knows(at) else at for at in range(count)]


def mongodb_44(count, knows):
    """What MongoDB 4.4 was measured to do: it answers recognised statements at once, and defers the others. These
    are reported at later places, and never tried when a known statement comes last."""
    plan, put_off = [], []
    for at in range(count):
        if knows(at):
            plan.append(None)
        else:
            put_off.append(at)
            if at == count - 1:
                plan += put_off
    return plan


KINDS = {"exact": exact, "mongodb-4.4": mongodb_44}
