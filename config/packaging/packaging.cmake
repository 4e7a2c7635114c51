# What is installed beside the program, and the Debian package that CPack makes of it all:
#   cmake --preset package && cmake --build --preset package
set(packaging ${CMAKE_CURRENT_LIST_DIR})

set(manual ${PROJECT_BINARY_DIR}/mongosluice.1)
add_custom_command(
  OUTPUT ${manual}.gz
  COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:mongosluice> -DTEMPLATE=${packaging}/mongosluice.1.in
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
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)

file(GLOB pages ${PROJECT_SOURCE_DIR}/docs/*.md)
install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs/plots DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)

install(FILES ${packaging}/logrotate RENAME mongosluice DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/logrotate.d)

# For the administrator to fill.
install(DIRECTORY DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/mongosluice/schemas)

# --- the Debian package -----------------------------------------------------------------------------
set(SLUICE_PACKAGE_CONTACT "mongosluice <mongosluice@localhost>" CACHE STRING
    "Name and address of whoever builds the Debian package")
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(changelog ${PROJECT_BINARY_DIR}/changelog.Debian.gz)
  add_custom_command(OUTPUT ${changelog} COMMAND gzip -9nc ${packaging}/debian/changelog > ${changelog}
                     DEPENDS ${packaging}/debian/changelog VERBATIM)
  add_custom_target(changelog ALL DEPENDS ${changelog})
  install(FILES ${changelog} ${packaging}/debian/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
endif()

set(CPACK_GENERATOR DEB)
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
include(CPack)
