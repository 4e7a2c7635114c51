sluice_fuzz_target(admin_request admin_request_fuzz.c LINKS sluice_admin sluice_session_rig PkgConfig::BSON PkgConfig::EVENT)
