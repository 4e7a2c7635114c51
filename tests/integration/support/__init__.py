"""What the integration and fault tests share: servers, the proxy, a raw client, simulated peers."""
