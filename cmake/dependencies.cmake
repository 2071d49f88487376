# What gradus stands on (docs/adr/0011-dependencies.md). scripts/setup installs all of it on Debian.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)

# Finds the folder of a header-only library, or stops and says which package has it.
function(gradus_find_header variable header package)
  find_path(${variable} ${header} PATH_SUFFIXES ${ARGN})
  if(NOT ${variable})
    message(FATAL_ERROR "gradus: cannot find the header ${header}\n"
                        "  install the Debian package ${package} (scripts/setup does), or set ${variable}")
  endif()
  mark_as_advanced(${variable})
endfunction()

gradus_find_header(EIGEN3_INCLUDE_DIRS Eigen/Core libeigen3-dev eigen3)
gradus_find_header(JSON_INCLUDE_DIRS nlohmann/json.hpp nlohmann-json3-dev)
if(GRADUS_BUILD_APPS OR GRADUS_BUILD_BENCH OR GRADUS_BUILD_TESTS)
  gradus_find_header(CLI11_INCLUDE_DIRS CLI/CLI.hpp libcli11-dev)
  gradus_find_header(STB_INCLUDE_DIRS stb_image.h libstb-dev stb)
endif()
if(GRADUS_BUILD_TESTS)
  gradus_find_header(CATCH2_INCLUDE_DIRS catch2/catch.hpp catch2)
endif()

# Eigen tells its version only in a header; core/version.cpp prints it.
file(STRINGS ${EIGEN3_INCLUDE_DIRS}/Eigen/src/Core/util/Macros.h eigen_lines
     REGEX "^#define EIGEN_(WORLD|MAJOR|MINOR)_VERSION [0-9]+$")
string(REGEX REPLACE "[^0-9;]+" "" GRADUS_EIGEN_VERSION "${eigen_lines}")
string(REPLACE ";" "." GRADUS_EIGEN_VERSION "${GRADUS_EIGEN_VERSION}")
