#include "rig_file.hpp"

#include <map>
#include <regex>
#include <set>

#include "yaml.hpp"

namespace amp::plugin {
namespace {

using juce::String;
using juce::var;

constexpr int kMostBlocks = 32;
constexpr int kMostNameLetters = 64;

bool is_name(const std::string& text) {
  static const std::regex form("[A-Za-z0-9._-]{1,64}");
  return std::regex_match(text, form) && text.find_first_not_of('.') != std::string::npos;
}

/// Folders of a rig's files, as the daemon's library has them.
struct Library {
  juce::File models;
  juce::File cabs;

  explicit Library(const juce::File& folder) : models(folder), cabs(folder.getChildFile("cabs")) {}

  /// In the daemon's order (ampd/library.py); not a file where there is none.
  [[nodiscard]] juce::File find(const std::string& name, FileKind kind) const {
    juce::StringArray places;
    if (kind == FileKind::kModel)
      for (const char* ending : {".json", ".nam"}) places.add(name + "/" + name + ending);
    const std::vector<const char*> endings =
        kind == FileKind::kModel ? std::vector<const char*>{".nam", ".json", ".aidax"}
                                 : std::vector<const char*>{".wav", ".flac", ".aif", ".aiff"};
    for (const char* ending : endings) places.add(name + ending);
    const juce::File& root = kind == FileKind::kModel ? models : cabs;
    for (const String& place : places)
      if (const juce::File file = root.getChildFile(place); file.existsAsFile()) return file;
    return {};
  }
};

juce::File root_of(const juce::File& yaml) {
  const juce::File folder = yaml.getParentDirectory();
  return folder.getFileName() == "rigs" ? folder.getParentDirectory() : folder;
}

/// Turns the values of a rig file into a setting, and says what does not fit.
class RigReader {
 public:
  explicit RigReader(const juce::File& yaml)
      : place_(yaml.getFullPathName().toStdString()),
        library_(root_of(yaml).getChildFile("models")) {
    opened_.setting.name = yaml.getFileNameWithoutExtension().toStdString();
  }

  OpenedRig read(const var& root) {
    static const std::set<std::string> known{"program",   "input", "chain", "output", "mix",
                                             "snapshots", "morph", "midi",  "on_load"};
    if (!root.isVoid() && !root.isObject()) fail("holds no keys such as chain");
    std::string left;
    for (const auto& [key, value] : entries(root)) {
      if (!known.contains(key)) fail("key " + key + " is unknown");
      if (key == "snapshots" || key == "morph" || key == "midi" || key == "on_load")
        left += (left.empty() ? "" : ", ") + key;
    }
    if (!left.empty()) opened_.setting.notes = left + " stay with the daemon";
    end(root, "input", kInputGain);
    end(root, "output", kOutputGain);
    if (root.hasProperty("mix")) set(kMix, number("mix", root["mix"]));
    chain(root["chain"]);
    take_knobs();
    complete(opened_.setting);
    opened_.setting.reference = opened_.values;
    opened_.setting.reference[kLevel] = kRaw;
    return std::move(opened_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Refused(place_ + ": " + what + ".");
  }

  static std::vector<std::pair<std::string, var>> entries(const var& object) {
    std::vector<std::pair<std::string, var>> found;
    if (juce::DynamicObject* const is = object.getDynamicObject())
      for (const auto& each : is->getProperties())
        found.emplace_back(each.name.toString().toStdString(), each.value);
    return found;
  }

  [[nodiscard]] float number(const std::string& what, const var& value) const {
    if (!value.isDouble() && !value.isInt() && !value.isInt64() && !value.isBool())
      fail(what + " is " + value.toString().toStdString() + ", expected a number");
    return static_cast<float>(static_cast<double>(value));
  }

  void set(Param param, float value) {
    const ParamRow& is = row(param);
    if (!(value >= is.minimum && value <= is.maximum))
      fail(std::string(is.id) + " is " + decimal(value).toStdString() + ", expected " +
           decimal(is.minimum).toStdString() + " to " + decimal(is.maximum).toStdString());
    opened_.values[param] = value;
  }

  void end(const var& root, const char* name, Param gain) {
    for (const auto& [key, value] : entries(root[name])) {
      const std::string what = std::string(name) + "/" + key;
      if (key == "gain_db") {
        set(gain, number(what, value));
      } else if (key == "level" && gain == kOutputGain) {
        const juce::StringArray levels(kLevelNames.data(), kLevelCount);
        const int level = levels.indexOf(value.toString());
        if (level < 0)
          fail(what + " is " + value.toString().toStdString() + ", expected one of " +
               levels.joinIntoString(", ").toStdString());
        opened_.values[kLevel] = static_cast<float>(level);
      } else {
        fail(what + " is unknown");
      }
    }
  }

  void chain(const var& list) {
    if (list.isVoid()) return;
    if (!list.isArray() || list.size() > kMostBlocks) fail("chain is no list of up to 32 blocks");
    for (const var& entry : *list.getArray()) {
      const auto named =
          entry.isString()
              ? std::vector<std::pair<std::string, var>>{{entry.toString().toStdString(), var()}}
              : entries(entry);
      if (named.size() != 1) fail("an entry of chain is no block such as gain: {gain_db: 3}");
      block(named[0].first, named[0].second);
    }
  }

  void block(const std::string& name, const var& body) {
    static const std::regex form("([a-z]{1,16})([1-9][0-9]?)?");
    std::smatch match;
    if (!std::regex_match(name, match, form)) fail(name + " is no block name such as amp or amp2");
    Part part;
    part.spec.name = name;
    part.spec.kind = match[1];
    for (const auto& [key, value] : entries(body)) {
      const std::string what = name + "/" + key;
      if (key == "model") {
        part.files = {file(what, value, FileKind::kModel)};
      } else if (key == "impulse") {
        part.files = {file(what, value, FileKind::kImpulse)};
      } else if (key == "models") {
        for (const auto& [at, model] : entries(value)) {
          part.spec.family.push_back({.at = String(at).getFloatValue(), .model = ""});
          part.files.push_back(file(what, model, FileKind::kModel));
        }
      } else if (key == "beside") {
        part.spec.beside = value.toString().toStdString();
      } else {
        part.spec.values[key] = number(what, value);
      }
    }
    opened_.setting.parts.push_back(std::move(part));
  }

  [[nodiscard]] FilePtr file(const std::string& what, const var& value, FileKind kind) const {
    const std::string name = value.toString().toStdString();
    if (!is_name(name)) fail(what + " is no name in the library, which is never a path");
    const juce::File found = library_.find(name, kind);
    if (found != juce::File()) return read_file(found, kind);
    auto missing = std::make_shared<File>();
    missing->name = name;
    missing->origin = File::Origin::kMissing;
    return missing;
  }

  /// What the plugin's own params turn goes there from the chain.
  void take_knobs() {
    Setting& setting = opened_.setting;
    if (Part* const gate = setting.find("gate"))
      set(kGateThreshold, taken(*gate, "threshold_db", -60));
    if (Part* const cab = setting.find("cab")) set(kCab, taken(*cab, "bypass", 0) > 0.5F ? 0 : 1);
    for (Part& part : setting.parts) {
      const bool here = part.spec.kind == "amp" && !part.files.empty() &&
                        std::all_of(part.files.begin(), part.files.end(),
                                    [](const FilePtr& each) { return each->content != nullptr; });
      if (!here) continue;
      set(kQuality, taken(part, "quality", 1));
      int knob = kKnob1;
      for (const std::string& name : knob_names(setting)) {
        const bool of_family = name == "knob" && part.spec.family.size() > 1;
        const float low = of_family ? part.spec.family.front().at : 0;
        const float high = of_family ? part.spec.family.back().at : 1;
        set(static_cast<Param>(knob++),
            (taken(part, name, of_family ? low : 0.5F) - low) / (high - low));
      }
      return;
    }
  }

  static float taken(Part& part, const std::string& name, float without) {
    const auto value = part.spec.values.find(name);
    if (value == part.spec.values.end()) return without;
    without = value->second;
    part.spec.values.erase(value);
    return without;
  }

  std::string place_;
  Library library_;
  OpenedRig opened_;
};

// --- writing ------------------------------------------------------------------------------------

juce::MemoryBlock bytes_of(const Content& content) {
  juce::MemoryInputStream in(content.packed, false);
  juce::GZIPDecompressorInputStream zlib(in);
  juce::MemoryBlock bytes;
  zlib.readIntoMemoryBlock(bytes);
  return bytes;
}

/// A name that the daemon's library takes.
std::string library_name(const std::string& stem) {
  std::string name;
  for (const char letter : stem.substr(0, kMostNameLetters - 4))
    name += is_name(std::string("a") + letter) ? letter : '-';
  return name.find_first_not_of('.') == std::string::npos ? "model" : name;
}

/// Put a file into the library under its own name, or the next one that is free; returns the name.
std::string store(const Library& library, const File& file, FileKind kind) {
  if (file.content == nullptr)
    throw Refused(file.name + " is missing; load it before the rig is written.");
  const std::string stem = library_name(file.stem());
  std::string name = stem;
  for (int number = 2;; ++number) {
    const juce::File there = library.find(name, kind);
    if (there == juce::File()) break;
    if (hash_of(there) == file.sha256) return name;
    name = stem + "-" + std::to_string(number);
  }
  const juce::File& folder = kind == FileKind::kModel ? library.models : library.cabs;
  String ending = String(file.name).fromLastOccurrenceOf(".", true, false).toLowerCase();
  if (kind_of(folder.getChildFile("x" + ending)) != kind)
    ending = kind == FileKind::kModel ? ".json" : ".wav";
  const juce::File target = folder.getChildFile(String(name) + ending);
  const juce::MemoryBlock bytes = bytes_of(*file.content);
  if (!folder.createDirectory() || !target.replaceWithData(bytes.getData(), bytes.getSize()))
    throw Refused(target.getFullPathName().toStdString() + " cannot be written.");
  return name;
}

String block_text(const Part& part, const BlockSpec& spec, const Library& library) {
  juce::StringArray entries;
  const FileKind kind = spec.kind == "cab" ? FileKind::kImpulse : FileKind::kModel;
  std::vector<std::string> names;
  for (const FilePtr& file : part.files) names.push_back(store(library, *file, kind));
  if (!spec.family.empty()) {
    juce::StringArray members;
    for (size_t m = 0; m < names.size(); ++m)
      members.add(decimal(spec.family[m].at) + ": " + as_yaml(String(names[m])));
    entries.add("models: {" + members.joinIntoString(", ") + "}");
  } else if (!names.empty()) {
    entries.add((kind == FileKind::kImpulse ? "impulse: " : "model: ") + as_yaml(String(names[0])));
  }
  if (!spec.beside.empty()) entries.add("beside: " + String(spec.beside));
  for (const auto& [name, value] : spec.values) entries.add(String(name) + ": " + decimal(value));
  return "  - " + String(spec.name) + ": {" + entries.joinIntoString(", ") + "}\n";
}

/// A part of the plugin's that changes nothing as it stands.
bool is_idle(const Part& part, const Values& values) {
  if (!part.own || !part.files.empty()) return false;
  return part.spec.kind == "gate" ? values[kGateThreshold] <= kGateOpenDb : values[kCab] < 0.5F;
}

}  // namespace

OpenedRig open_rig(const juce::File& yaml) {
  const std::string place = yaml.getFullPathName().toStdString();
  juce::MemoryBlock bytes;
  if (!yaml.loadFileAsData(bytes)) throw Refused(place + " cannot be read.");
  if (!juce::CharPointer_UTF8::isValidString(static_cast<const char*>(bytes.getData()),
                                             static_cast<int>(bytes.getSize())))
    throw Refused(place + " is not UTF-8 text.");
  return RigReader(yaml).read(read_yaml(bytes.toString(), place));
}

juce::File write_rig(const juce::File& yaml, const Setting& setting, const Values& values,
                     const Trim& trim) {
  const std::string name = library_name(yaml.getFileNameWithoutExtension().toStdString());
  const juce::File root = root_of(yaml);
  const Library library(root.getChildFile("models"));
  // The daemon calibrates for its own interface; what was measured for `normalized` is written as
  // the gain that it came to, since the knobs may have been turned since.
  const bool is_calibrated = static_cast<int>(values[kLevel]) == kCalibrated;
  const RigSpec rig = to_rig(setting, values, is_calibrated ? Trim{} : trim);
  String text = "# Written by the ampd plugin.\n";
  text << "input: {gain_db: " << decimal(rig.values.at("input/gain_db")) << "}\nchain:\n";
  for (const Part& part : setting.parts) {
    for (const FilePtr& file : part.files)
      if (file->content == nullptr)
        throw Refused(file->name + " is missing; load it before the rig is written.");
    if (is_idle(part, values)) continue;
    for (const BlockSpec& spec : rig.blocks)
      if (spec.name == part.spec.name) text << block_text(part, spec, library);
  }
  if (text.endsWith("chain:\n")) text = text.dropLastCharacters(1) + " []\n";
  text << "output: {gain_db: " << decimal(rig.values.at("output/gain_db"))
       << ", level: " << kLevelNames[is_calibrated ? kCalibrated : kRaw]
       << "}\nmix: " << decimal(rig.values.at("mix")) << "\n";
  const juce::File target = root.getChildFile("rigs").getChildFile(name + ".yaml");
  if (!target.getParentDirectory().createDirectory() ||
      !target.replaceWithText(text, false, false, "\n"))
    throw Refused(target.getFullPathName().toStdString() + " cannot be written.");
  return target;
}

}  // namespace amp::plugin
