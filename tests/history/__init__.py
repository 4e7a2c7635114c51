"""What drivers were told about their inserts, held against what is stored, while servers, connections,
clients and the proxy fail. `python -m history` runs it; see run.py."""
