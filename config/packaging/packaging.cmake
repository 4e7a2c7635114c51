# What is installed beside the program, and the package that CPack makes of it all:
#   cmake --preset package && cmake --build --preset package      the Debian package
# scripts/release.sh makes the RPM, of the program with its libraries inside.
set(SLUICE_PACKAGE DEB CACHE STRING "Kind of the package: DEB or RPM")
set(SLUICE_NATIVE_PROGRAM "" CACHE FILEPATH
    "The same program for this machine, which writes the manual page of a program for another one")
set(packaging ${CMAKE_CURRENT_LIST_DIR})

set(manual ${PROJECT_BINARY_DIR}/mongosluice.1)
add_custom_command(
  OUTPUT ${manual}.gz
  COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<IF:$<BOOL:${SLUICE_NATIVE_PROGRAM}>,${SLUICE_NATIVE_PROGRAM},$<TARGET_FILE:mongosluice>>
          -DTEMPLATE=${packaging}/mongosluice.1.in
          -DOUTPUT=${manual} -DPROJECT_VERSION=${PROJECT_VERSION}
          -DCMAKE_INSTALL_FULL_SYSCONFDIR=${CMAKE_INSTALL_FULL_SYSCONFDIR}
          -DCMAKE_INSTALL_FULL_DOCDIR=${CMAKE_INSTALL_FULL_DOCDIR} -P ${packaging}/manual.cmake
  COMMAND gzip -9nc ${manual} > ${manual}.gz
  DEPENDS mongosluice ${packaging}/mongosluice.1.in ${packaging}/manual.cmake
  VERBATIM)
add_custom_target(manual ALL DEPENDS ${manual}.gz)
install(FILES ${manual}.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

install(FILES ${packaging}/completions/mongosluice.bash RENAME mongosluice
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${packaging}/completions/mongosluice.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES ${packaging}/completions/mongosluice.zsh RENAME _mongosluice
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/$<IF:$<STREQUAL:${SLUICE_PACKAGE},RPM>,site-functions,vendor-completions>)

file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/*.md)
install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/plots DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)
# The pages link to these.
file(GLOB benchmark_pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/benchmarks/*.md)
install(FILES ${benchmark_pages} DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs/benchmarks)
install(FILES ${PROJECT_SOURCE_DIR}/CHANGELOG.md ${PROJECT_SOURCE_DIR}/SECURITY.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${PROJECT_SOURCE_DIR}/config/mongosluice.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR}/config)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docker DESTINATION ${CMAKE_INSTALL_DOCDIR}
        FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)

install(FILES ${packaging}/logrotate RENAME mongosluice DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/logrotate.d)

# For the administrator to fill.
install(DIRECTORY DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/mongosluice/schemas)

# --- the packages -----------------------------------------------------------------------------
set(SLUICE_PACKAGE_CONTACT "mongosluice <mongosluice@localhost>" CACHE STRING
    "Name and address of whoever builds the package")
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr" AND SLUICE_PACKAGE STREQUAL "DEB")
  set(changelog ${PROJECT_BINARY_DIR}/changelog.Debian.gz)
  add_custom_command(OUTPUT ${changelog} COMMAND gzip -9nc ${packaging}/debian/changelog > ${changelog}
                     DEPENDS ${packaging}/debian/changelog VERBATIM)
  add_custom_target(changelog ALL DEPENDS ${changelog})
  install(FILES ${changelog} ${packaging}/debian/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()

set(CPACK_GENERATOR ${SLUICE_PACKAGE})
set(CPACK_SET_DESTDIR ON) # /etc and /lib are not below the prefix
set(CPACK_PACKAGE_NAME mongosluice)
set(CPACK_PACKAGE_CONTACT ${SLUICE_PACKAGE_CONTACT})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "MongoDB wire-protocol proxy with schema checks and insert batching")
set(CPACK_PACKAGE_DESCRIPTION
"Unchanged drivers and ODMs connect to mongosluice instead of to MongoDB. It
checks written documents against registered schemas, gathers small concurrent
inserts into batches, and passes everything else through as it is.")
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
    GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${packaging}/debian/conffiles ${packaging}/debian/postinst
    ${packaging}/debian/prerm ${packaging}/debian/postrm ${packaging}/debian/triggers)

# dpkg-shlibdeps does not know the libraries of another architecture; scripts/release.sh names the packages.
set(SLUICE_PACKAGE_DEPENDS "" CACHE STRING "Dependencies of the Debian package, in place of those that dpkg-shlibdeps finds")
if(SLUICE_PACKAGE_DEPENDS)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS OFF)
  set(CPACK_DEBIAN_PACKAGE_DEPENDS ${SLUICE_PACKAGE_DEPENDS})
endif()
if(CMAKE_CROSSCOMPILING AND CMAKE_LIBRARY_ARCHITECTURE STREQUAL "aarch64-linux-gnu")
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)
endif()

set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_PACKAGE_RELEASE 1)
set(CPACK_RPM_PACKAGE_LICENSE Apache-2.0)
set(CPACK_RPM_PACKAGE_ARCHITECTURE ${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_RPM_PACKAGE_REQUIRES_PRE shadow-utils)
set(CPACK_RPM_PRE_INSTALL_SCRIPT_FILE ${packaging}/rpm/pre)
set(CPACK_RPM_POST_INSTALL_SCRIPT_FILE ${packaging}/rpm/post)
set(CPACK_RPM_PRE_UNINSTALL_SCRIPT_FILE ${packaging}/rpm/preun)
set(CPACK_RPM_POST_UNINSTALL_SCRIPT_FILE ${packaging}/rpm/postun)
# Without this line, every file below an absolute destination would count as configuration.
set(CPACK_RPM_USER_FILELIST "%config(noreplace) %attr(0640,root,mongosluice) /etc/mongosluice/mongosluice.yaml"
    "%config(noreplace) /etc/logrotate.d/mongosluice"
    "%attr(0644,root,root) ${SLUICE_SYSTEMD_UNIT_DIR}/mongosluice.service")
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION /etc /etc/logrotate.d /lib /lib/systemd /lib/systemd/system /usr/lib/systemd /usr/lib/systemd/system
    /usr/share/bash-completion /usr/share/bash-completion/completions /usr/share/fish /usr/share/fish/vendor_completions.d
    /usr/share/man /usr/share/man/man1 /usr/share/zsh
    /usr/share/zsh/site-functions /usr/share/zsh/vendor-completions)
# The program is stripped by its linker; rpmbuild's own steps know only the machine's architecture.
set(CPACK_RPM_SPEC_MORE_DEFINE "%define __os_install_post %{nil}\n%define _build_id_links none\n%define debug_package %{nil}")
include(CPack)
