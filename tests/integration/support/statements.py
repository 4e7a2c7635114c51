"""What a server makes of the statements of an insert that has a number (lsid and txnNumber), some of which it
may have run before.

A plan names, place by place in the server's answer, the document that it tries there; None is a statement that it
knows: answered as stored, and not tried."""


def exact(count, knows):
    """Each at its own place, as servers do that carry out what they put off before they answer what they know."""
    return [None if knows(at) else at for at in range(count)]


def mongodb_44(count, knows):
    """What MongoDB 4.4 was measured to do: statements that it knows are answered at once, and others are put off.
    These are reported at later places, and never tried when a known statement comes last."""
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
