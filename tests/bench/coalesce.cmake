add_executable(coalesce_bench coalesce_bench.c)
target_link_libraries(coalesce_bench PRIVATE sluice_coalesce PkgConfig::BSON)
