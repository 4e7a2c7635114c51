sluice_fuzz_target(identity identity_fuzz.c LINKS sluice_auth)
