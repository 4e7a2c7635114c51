add_executable(enforce_commands ${CMAKE_CURRENT_LIST_DIR}/enforce_commands.c)
target_link_libraries(enforce_commands PRIVATE sluice_enforce PkgConfig::BSON)
add_executable(versions_bench ${CMAKE_CURRENT_LIST_DIR}/versions_bench.c)
target_link_libraries(versions_bench PRIVATE sluice_enforce PkgConfig::BSON)
