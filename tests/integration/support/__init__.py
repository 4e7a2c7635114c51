"""Support shared by the integration and fault tests: servers, the proxy, a raw client, simulated peers."""
