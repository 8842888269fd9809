#include "recents.hpp"

#include <juce_data_structures/juce_data_structures.h>

namespace amp::plugin {
namespace {

constexpr int kMostRecent = 12;

#if JUCE_LINUX
constexpr const char* kFolder = ".config/ampd";
#else
constexpr const char* kFolder = "ampd";
#endif
constexpr const char* kRecent = "recent";
constexpr const char* kScale = "window_scale";

juce::PropertiesFile::Options options() {
  juce::PropertiesFile::Options options;
  options.applicationName = "plugin";
  options.filenameSuffix = "settings";
  options.folderName = kFolder;
  options.osxLibrarySubFolder = "Application Support";
  options.millisecondsBeforeSaving = 0;
  return options;
}

}  // namespace

juce::StringArray recent_files() {
  juce::PropertiesFile file(options());
  juce::StringArray files = juce::StringArray::fromLines(file.getValue(kRecent));
  files.removeEmptyStrings();
  return files;
}

void note_recent(const juce::File& file) {
  juce::StringArray files = recent_files();
  files.removeString(file.getFullPathName());
  files.insert(0, file.getFullPathName());
  while (files.size() > kMostRecent) files.remove(kMostRecent);
  juce::PropertiesFile(options()).setValue(kRecent, files.joinIntoString("\n"));
}

double window_scale() {
  return juce::jlimit(1.0, 2.0, juce::PropertiesFile(options()).getDoubleValue(kScale, 1));
}

void note_window_scale(double scale) {
  juce::PropertiesFile(options()).setValue(kScale, scale);
}

}  // namespace amp::plugin
