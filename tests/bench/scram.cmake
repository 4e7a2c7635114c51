add_executable(scram_bench scram_bench.c)
target_link_libraries(scram_bench PRIVATE sluice_auth)
target_include_directories(scram_bench PRIVATE ${PROJECT_SOURCE_DIR}/tests)
