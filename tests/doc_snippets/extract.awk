# Turns the ```cpp blocks of one Markdown file into a file of Catch2 test cases, so that documentation cannot rot.
#
#   ```cpp            compiled and run, in a fresh folder
#   ```cpp no-run     compiled only
#   ```cpp fragment   skipped; an HTML comment on the line before must say why
#
# A block with `int main` is a whole program. Otherwise definitions that start at the left margin go to namespace scope and
# the statements become the body of a test case. A block sees the definitions of the blocks above it in the same file.
# Compiler messages name the line of the Markdown file.

function fail(text) {
  print name ":" NR ": " text > "/dev/stderr"
  failed = 1
  exit 1
}

function count(text, character) { return gsub(character, character, text) }

# A line at the left margin that starts a type, function, alias or test.
function starts_definition(line) {
  if (line ~ /^(template|struct|class|enum|union|namespace|using|concept|inline|static|constexpr|TEST_CASE)[ (<]/) return 1
  return line ~ /^[A-Za-z_][A-Za-z0-9_:<>,*& ]*[ *&][A-Za-z0-9_]+\([^;]*\)( const)?( noexcept)? *\{/
}

# Adds a line of the block to the definitions or the statements, with a #line where the sequence breaks.
function add_definition(line) {
  if (last_definition != NR - 1) definitions = definitions "#line " NR " \"" name "\"\n"
  definitions = definitions line "\n"
  last_definition = NR
}
function add_statement(line) {
  if (last_statement != NR - 1) statements = statements "#line " NR " \"" name "\"\n"
  statements = statements line "\n"
  last_statement = NR
  if (line !~ /^ *(\/\/.*)?$/) has_statements = 1
}

function begin_block() {
  start = NR
  kind = $0
  sub(/^```cpp */, "", kind)
  if (kind != "" && kind != "no-run" && kind != "fragment") fail("unknown kind of snippet: " kind)
  if (kind == "fragment" && before !~ /^<!--.*-->$/) fail("a fragment needs an HTML comment before it that says why")
  definitions = statements = main_call = ""
  last_definition = last_statement = 0
  has_statements = depth = in_definition = in_main = 0
}

function take_line(line) {
  if (line ~ /^#include/) {
    includes = includes line "\n"
    return
  }
  if (!in_definition && line ~ /^int main\(/) {
    main_call = line ~ /^int main\( *\)/ ? "program()" : "program(1, arguments)"
    sub(/^int main\(/, "int program(", line)
    in_main = in_definition = 1
  }
  if (!in_definition && starts_definition(line)) in_definition = 1
  if (!in_definition) {
    add_statement(line)
    return
  }
  depth += count(line, "{") - count(line, "}")
  finished = depth == 0 && line ~ /[;}]( *\/\/.*)?$/
  if (finished && in_main) sub(/}[^}]*$/, "return 0; }", line)  # only the real main() may end without one
  add_definition(line)
  if (finished) in_definition = in_main = 0
}

function end_block() {
  if (kind == "fragment") return
  if (in_definition) fail("the snippet that starts at line " start " ends inside a definition")
  body = body "namespace line_" start " {\n" definitions
  closing = closing "}\n"
  if (main_call == "" && !has_statements) return
  if (main_call != "" && has_statements) fail("the snippet that starts at line " start " has statements beside main()")
  if (kind == "no-run")
    body = body "[[maybe_unused]] static void compiled_only() {\n"
  else
    body = body "TEST_CASE(\"" name ":" start "\") {\nconst FreshFolder folder;\n"
  if (main_call ~ /arguments/) body = body "char program_name[] = \"program\";\nchar* arguments[] = {program_name, nullptr};\n"
  if (main_call != "") statements = (kind == "no-run" ? "(void)" main_call : "CHECK(" main_call " == 0)") ";\n"
  body = body statements "}\n"
}

/^```/ && in_block { end_block(); in_block = 0; next }
/^```/ && in_other { in_other = 0; next }
in_block { if (kind != "fragment") take_line($0); next }
in_other { next }
/^```cpp/ { begin_block(); in_block = 1; next }
/^```/ { in_other = 1; next }
NF { before = $0 }

END {
  if (failed) exit 1
  if (in_block) fail("the snippet that starts at line " start " has no end")
  print "// Made from " name " by tests/doc_snippets/extract.awk."
  print "#include <catch2/catch.hpp>\n\n#include \"gradus.h\"\n#include \"tests/doc_snippets/fresh_folder.h\"\n" includes
  print "using namespace gradus;\n\nnamespace {\n" body closing "}"
}
