// Runs a built program as a user would, and keeps what it said.
#pragma once

#include "core/file.h"
#include "tests/support.h"

#include <catch2/catch.hpp>

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace gradus::testing {

struct Outcome {
  int code = -1;  // exit code, or 128 + the signal that ended it
  std::string out;
  std::string err;
};

struct ProgramOptions {
  rlim_t file_size_limit = RLIM_INFINITY;     // bytes: files end there, as on a full disk
  std::vector<const char*> environment = {};  // "NAME=value", besides what the test has
  int interrupt_after_ms = 0;                 // sends SIGINT then
};

/// Runs build/bin/NAME with these arguments in the given folder.
inline Outcome run_program(const TemporaryFolder& folder, const std::string& name,
                           const std::vector<std::string>& arguments, const ProgramOptions& options = {}) {
  const std::string program = std::string(GRADUS_BIN_DIR) + "/" + name;
  INFO("the program under test is built with GRADUS_BUILD_APPS");
  REQUIRE(std::filesystem::exists(program));
  std::vector<const char*> argv = {program.c_str()};
  for (const auto& argument : arguments) argv.push_back(argument.c_str());
  argv.push_back(nullptr);
  const std::string out = folder / ".stdout", err = folder / ".stderr";

  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // only calls that are safe between fork and exec, but for setenv, which no other thread uses
    if (::chdir(folder.path().c_str()) != 0) ::_exit(126);
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, 0);
    ::dup2(::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
    ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
    for (const char* variable : options.environment) ::putenv(const_cast<char*>(variable));
    const rlimit limit{options.file_size_limit, options.file_size_limit};
    if (options.file_size_limit != RLIM_INFINITY) ::setrlimit(RLIMIT_FSIZE, &limit);
    ::execv(program.c_str(), const_cast<char* const*>(argv.data()));
    ::_exit(127);
  }
  if (options.interrupt_after_ms > 0) {
    ::usleep(static_cast<useconds_t>(options.interrupt_after_ms) * 1000);
    ::kill(child, SIGINT);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  constexpr std::uint64_t kMany = 1 << 20;
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(out, kMany),
          read_file(err, kMany)};
}

}  // namespace gradus::testing
