sluice_fuzz_target(merge merge_fuzz.c LINKS sluice_merge)
sluice_fuzz_target(merge_model merge_model_fuzz.c LINKS sluice_merge)
