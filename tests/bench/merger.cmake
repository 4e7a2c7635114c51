add_executable(merger_bench merger_bench.c)
target_link_libraries(merger_bench PRIVATE sluice_merge PkgConfig::BSON)
