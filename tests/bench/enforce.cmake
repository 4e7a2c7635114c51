add_executable(enforce_commands ${CMAKE_CURRENT_LIST_DIR}/enforce_commands.c)
target_link_libraries(enforce_commands PRIVATE sluice_enforce PkgConfig::BSON)
