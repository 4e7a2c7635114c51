add_executable(logingen logingen.c)
target_link_libraries(logingen PRIVATE sluice_bench sluice_auth PkgConfig::BSON PkgConfig::OPENSSL
                                       Threads::Threads)
