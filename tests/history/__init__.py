"""Compares the replies that drivers received for their inserts with the stored documents, while servers, connections,
clients and the proxy fail. `python -m history` runs it; see run.py."""
