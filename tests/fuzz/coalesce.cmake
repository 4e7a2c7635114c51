sluice_fuzz_target(coalesce coalesce_fuzz.c LINKS sluice_coalesce)
