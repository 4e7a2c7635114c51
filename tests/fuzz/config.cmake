sluice_fuzz_target(config config_fuzz.c LINKS sluice_config)
