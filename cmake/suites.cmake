# Turns bench/shapes/*.txt into tuff_suites.h, the list of cases of `tuff bench`: each file is a
# suite, each line that does not begin with # a case.
#
# Sets TUFF_SUITE_DIR, where the header lies.
set(TUFF_SUITE_DIR ${PROJECT_BINARY_DIR}/suites)
file(GLOB suite_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/shapes/*.txt)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${suite_files})
set(suite_lines "")
foreach(suite_file IN LISTS suite_files)
  get_filename_component(suite ${suite_file} NAME_WE)
  file(READ ${suite_file} text)
  string(REGEX REPLACE "#[^\n]*\n" "" text "${text}")
  string(REGEX REPLACE "([^\n]+)\n" "    { \"${suite}\", \"\\1\" },\n" text "${text}")
  string(APPEND suite_lines "${text}")
endforeach()
file(CONFIGURE OUTPUT ${TUFF_SUITE_DIR}/tuff_suites.h @ONLY CONTENT
[[// Generated from bench/shapes/*.txt.
static const struct { const char *suite, *text; } suites[] = {
@suite_lines@};
]])
