"""A simulated replica set or sharded cluster: several simulated servers with matching hellos."""

from bson import ObjectId

from .endpoint import Endpoint
from .simulated import SimulatedServer

NAME = "simulated"


class SimulatedSet:
    """members[i] is a server; `primary` and the lists can be changed with reconfigure()."""

    def __init__(self, count=3, hosts=None):
        """hosts: the names that the members have in the set's configuration."""
        self.members = []
        self.version = 0
        self._term = 0
        for i in range(count):
            self.members.append(SimulatedServer(name=(hosts or {}).get(i)))
        self.reconfigure(primary=self.members[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self.members:
            member.stop()

    def member(self, address):
        return next(one for one in self.members if one.address == address)

    @property
    def addresses(self):
        return [one.address for one in self.members]

    @property
    def secondaries(self):
        return [one for one in self.members if one is not self.primary]

    def uri(self, *members, **options):
        """Returns the URI with its members as seeds, or only the given ones."""
        seeds = ",".join(one.address for one in members or self.members)
        return Endpoint(seeds, NAME).uri(**options)

    def add(self):
        self.members.append(SimulatedServer())
        self.reconfigure(primary=self.primary)
        return self.members[-1]

    def remove(self, member):
        self.members.remove(member)
        self.reconfigure(primary=self.primary)
        member.change({"isWritablePrimary": False, "secondary": False, "setName": NAME,
                       "isreplicaset": True})
        member.stop()

    def reconfigure(self, *, primary, passives=(), arbiters=()):
        """Reports it from every member; primary None: during an election."""
        if primary is not getattr(self, "primary", None):
            self._term += 1
        self.primary = primary
        self.version += 1
        plain = [one.address for one in self.members if one not in (*passives, *arbiters)]
        shared = {"setName": NAME, "setVersion": self.version, "hosts": plain}
        if passives:
            shared["passives"] = [one.address for one in passives]
        if arbiters:
            shared["arbiters"] = [one.address for one in arbiters]
        if primary is not None:
            shared["primary"] = primary.address
        for one in self.members:
            own = {"isWritablePrimary": one is primary, "me": one.address,
                   "secondary": one is not primary and one not in arbiters}
            if one is primary:
                own["electionId"] = ObjectId(f"{self._term:024x}")
            if one in arbiters:
                own["arbiterOnly"] = True
            one.change({**shared, **own})


class SimulatedCluster:
    """A sharded cluster: independent servers that answer isdbgrid."""

    def __init__(self, count=2):
        self.members = [SimulatedServer() for _ in range(count)]
        for one in self.members:
            one.change({"msg": "isdbgrid"})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self.members:
            one.stop()

    def uri(self, **options):
        return Endpoint(",".join(one.address for one in self.members)).uri(**options)
