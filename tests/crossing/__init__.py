"""Many users with different rights through one proxy, and a check that none of them meets another's identity."""
