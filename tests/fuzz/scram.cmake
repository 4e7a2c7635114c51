sluice_fuzz_target(scram scram_fuzz.c LINKS sluice_auth)
