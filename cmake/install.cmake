# Installation, the CMake package (find_package(gradus CONFIG)), the pkg-config file and the Debian package.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/gradus)
# Headers keep their folders below include/gradus, so "core/tensor.h" means the same as in the source tree.
install(TARGETS gradus EXPORT gradus_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/gradus)
install(EXPORT gradus_targets NAMESPACE gradus:: DESTINATION ${package_folder})

configure_package_config_file(cmake/gradus-config.cmake.in generated/gradus-config.cmake
                              INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(generated/gradus-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/generated/gradus-config.cmake
              ${PROJECT_BINARY_DIR}/generated/gradus-config-version.cmake DESTINATION ${package_folder})
file(RELATIVE_PATH PREFIX_FROM_PC_FILE /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)  # so that the installed folder may move
configure_file(cmake/gradus.pc.in generated/gradus.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/generated/gradus.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(TARGETS ${GRADUS_APP_TARGETS} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

# cpack makes gradus_<version>_<architecture>.deb. With GRADUS_NATIVE it runs only on machines like this one.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "gradus developers <gradus@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "${PROJECT_DESCRIPTION}\n Built with ${GRADUS_ISA_TEXT}.")
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libfmt-dev, zlib1g-dev, libssl-dev")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "dataset-fashion-mnist, gnuplot-nox")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
include(CPack)
