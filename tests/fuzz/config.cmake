sluice_fuzz_target(config config_fuzz.c LINKS sluice_config)
sluice_fuzz_target(config_values config_values_fuzz.c LINKS sluice_config)
sluice_fuzz_target(config_load config_load_fuzz.c LINKS sluice_config)
