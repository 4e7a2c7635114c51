# The rig is used by the fuzzer and by tests/unit/session.
add_library(sluice_session_rig STATIC ${CMAKE_CURRENT_LIST_DIR}/session_rig.c ${CMAKE_CURRENT_LIST_DIR}/rig_messages.c
            ${CMAKE_CURRENT_LIST_DIR}/rig_clients.c ${CMAKE_CURRENT_LIST_DIR}/rig_server.c
            ${CMAKE_CURRENT_LIST_DIR}/rig_logins.c ${CMAKE_CURRENT_LIST_DIR}/rig_commands.c)
target_include_directories(sluice_session_rig PUBLIC ${PROJECT_SOURCE_DIR}/tests/fuzz)
target_link_options(sluice_session_rig INTERFACE -Wl,--wrap=clock_gettime -Wl,--wrap=event_add)
target_link_libraries(sluice_session_rig PUBLIC sluice_session sluice_schema_file sluice_enforce)
sluice_fuzz_target(session session_fuzz.c LONG LINKS sluice_session_rig)
sluice_fuzz_target(crossing crossing_fuzz.c LINKS sluice_session_rig)
target_sources(fuzz_crossing PRIVATE ${CMAKE_CURRENT_LIST_DIR}/accounts.c)

# The same plays with clients that share upstream connections.
sluice_fuzz_target(session_shared session_fuzz.c LONG LINKS sluice_session_rig)
sluice_fuzz_target(crossing_shared crossing_fuzz.c LONG LINKS sluice_session_rig)
target_sources(fuzz_crossing_shared PRIVATE ${CMAKE_CURRENT_LIST_DIR}/accounts.c)
foreach(target session_shared crossing_shared)
  target_compile_definitions(fuzz_${target} PRIVATE FUZZ_MODE=RIG_SHARED)
endforeach()

# And with logins that the proxy checks, limits and traces.
sluice_fuzz_target(session_verified session_fuzz.c LONG LINKS sluice_session_rig)
target_compile_definitions(fuzz_session_verified PRIVATE FUZZ_MODE=RIG_VERIFIED)
