#include "core/file.h"

#include "tests/support.h"

#include <catch2/catch.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace gradus;
using Catch::Matchers::Contains;
using gradus::testing::error_of;
using gradus::testing::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMany = 1 << 20;

/// While it lives, files of this process end at `bytes`, as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limited{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limited);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*handler_)(int);
  rlimit before_{};
};

}  // namespace

TEST_CASE("what write_file wrote, read_file reads") {
  const TemporaryFolder folder;
  const std::string path = folder / "with space and ümlaut";
  const std::string zeros("a\0b\n", 4);
  for (const std::string& bytes : {std::string(), zeros, std::string(300'000, 'x')}) {
    write_file(path, bytes);
    CHECK(read_file(path, kMany) == bytes);
    CHECK(folder.entries() == 1);
  }
  const std::string_view parts[] = {"one ", "", "two"};
  write_file(path, parts);
  CHECK(read_file(path, kMany) == "one two");
}

TEST_CASE("read_file allows no more than its limit") {
  const TemporaryFolder folder;
  write_file(folder / "ten", "0123456789");
  CHECK(read_file(folder / "ten", 10).size() == 10);
  CHECK_THAT(error_of([&] { read_file(folder / "ten", 9); }), Contains("ten") && Contains("10 bytes, at most 9"));
}

TEST_CASE("InputFile reads in pieces and says where a file ended") {
  const TemporaryFolder folder;
  write_file(folder / "ten", "0123456789");
  InputFile file(folder / "ten");
  CHECK(file.size() == 10);
  std::string piece(6, ' ');
  file.read(std::as_writable_bytes(std::span(piece)));
  CHECK(piece == "012345");
  CHECK_THAT(error_of([&] { file.read(std::as_writable_bytes(std::span(piece))); }),
             Contains("ends at byte 10, where 2 more were expected"));
}

TEST_CASE("only regular files are read") {
  const TemporaryFolder folder;
  const std::string pipe = folder / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THAT(error_of([&] { InputFile file(pipe); }), Contains("not a regular file"));
  CHECK_THAT(error_of([&] { InputFile file(folder.path()); }), Contains("a folder"));
  CHECK_THAT(error_of([] { InputFile file("/dev/zero"); }), Contains("not a regular file"));
  CHECK_THAT(error_of([&] { InputFile file(folder / "absent"); }), Contains("absent") && Contains("No such file"));
}

TEST_CASE("write_file names the folder that it cannot use") {
  const TemporaryFolder folder;
  CHECK_THAT(
      error_of([&] { write_file(folder / "absent/file", "12345"); }),
      Contains("No such file") && Contains("needs 5 bytes") && Contains("there is no folder") && Contains("absent\""));
  write_file(folder / "file", "x");
  CHECK_THAT(error_of([&] { write_file(folder / "file/below", "12345"); }), Contains("Not a directory"));
  CHECK_THAT(error_of([&] { write_file(folder.path(), "12345"); }), Contains("it is a folder"));
  CHECK(folder.entries() == 1);
}

TEST_CASE("write_file to a folder without permission leaves the old file") {
  if (geteuid() == 0) return;  // root may write everywhere
  const TemporaryFolder folder;
  write_file(folder / "file", "old");
  fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec);
  const std::string error = error_of([&] { write_file(folder / "file", "new"); });
  fs::permissions(folder.path(), fs::perms::owner_all);
  CHECK_THAT(error, Contains("Permission denied") && Contains("unchanged"));
  CHECK(read_file(folder / "file", kMany) == "old");
}

TEST_CASE("write_file does not replace devices") {
  CHECK_THAT(error_of([] { write_file("/dev/null", "12345"); }), Contains("not a regular file"));
}

TEST_CASE("a write that fails half-way leaves the old file and no other") {
  const TemporaryFolder folder;
  write_file(folder / "file", "old");
  std::string error;
  {
    const FileSizeLimit limit(10'000);
    error = error_of([&] { write_file(folder / "file", std::string(20'000, 'x')); });
  }
  CHECK_THAT(error, Contains("File too large") && Contains("needs 20000 bytes, 10000 could be written") &&
                        Contains("unchanged"));
  CHECK(read_file(folder / "file", kMany) == "old");
  CHECK(folder.entries() == 1);
}

TEST_CASE("write_file keeps permissions and follows links") {
  const TemporaryFolder folder;
  const std::string path = folder / "file", link = folder / "link", dangling = folder / "dangling";
  write_file(path, "old");
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink(path, link);
  write_file(link, "new");
  CHECK(fs::is_symlink(link));
  CHECK(read_file(path, kMany) == "new");
  CHECK(fs::status(path).permissions() == (fs::perms::owner_read | fs::perms::owner_write));

  fs::create_symlink(folder / "target", dangling);
  write_file(dangling, "made");
  CHECK(read_file(folder / "target", kMany) == "made");
}

TEST_CASE("write_file passes by what a killed process left") {
  const TemporaryFolder folder;
  const std::string left = folder / ("file.tmp-" + std::to_string(getpid()) + "-0");
  std::ofstream(left) << "left";
  write_file(folder / "file", "new");
  CHECK(read_file(folder / "file", kMany) == "new");
  CHECK(read_file(left, kMany) == "left");
}
