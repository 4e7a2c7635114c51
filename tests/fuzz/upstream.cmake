sluice_fuzz_target(uri uri_fuzz.c LINKS sluice_upstream)
