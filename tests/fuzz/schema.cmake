sluice_fuzz_target(bson_validate bson_validate.c LINKS sluice_bson PkgConfig::BSON)
sluice_fuzz_target(schema_compile schema_compile.c LINKS sluice_schema)
sluice_fuzz_target(schema_run schema_run.c LINKS sluice_schema)
target_sources(fuzz_schema_run PRIVATE schema_generate.c)
