"""Writes without a pause: probe.py URI SECONDS. Prints a line of JSON: successes, errors, the longest time without a success."""

import collections
import json
import sys
import time

from pymongo import MongoClient
from pymongo.errors import PyMongoError

uri, seconds = sys.argv[1], float(sys.argv[2])
collection = MongoClient(uri, serverSelectionTimeoutMS=30000).d.c
errors = collections.Counter()
count, longest = 0, 0.0
start = last = time.monotonic()
while time.monotonic() < start + seconds:
    try:
        collection.insert_one({})
        now = time.monotonic()
        longest = max(longest, now - last) if count else 0.0
        last = now
        count += 1
    except PyMongoError as error:
        errors[type(error).__name__] += 1
    time.sleep(0.005)
longest = max(longest, time.monotonic() - last)
print(json.dumps({"writes": count, "errors": errors, "longest_ms": round(longest * 1000)}))
