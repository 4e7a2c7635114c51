sluice_fuzz_target(enforce enforce_fuzz.c LINKS sluice_enforce)
