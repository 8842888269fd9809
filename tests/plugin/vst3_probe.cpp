// A VST3 host of nothing but the SDK's headers: what a plugin says of itself, as JSON.
//   vst3_probe ampd.vst3/Contents/x86_64-linux/ampd.so

#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "pluginterfaces/base/coreiids.cpp"
#include "pluginterfaces/base/ipluginbase.h"
#include "pluginterfaces/vst/ivstaudioprocessor.h"
#include "pluginterfaces/vst/ivstcomponent.h"
#include "pluginterfaces/vst/ivsteditcontroller.h"
#include "pluginterfaces/vst/ivsthostapplication.h"
#include "pluginterfaces/vst/ivstmessage.h"
#include "pluginterfaces/vst/vstspeaker.h"

using namespace Steinberg;
using namespace Steinberg::Vst;

namespace Steinberg::Vst {
const FUID IComponent::iid(IComponent_iid);
const FUID IAudioProcessor::iid(IAudioProcessor_iid);
const FUID IEditController::iid(IEditController_iid);
const FUID IHostApplication::iid(IHostApplication_iid);
const FUID IConnectionPoint::iid(IConnectionPoint_iid);
}  // namespace Steinberg::Vst

namespace {

class Host final : public IHostApplication {
 public:
  tresult PLUGIN_API getName(String128 name) override {
    std::memset(name, 0, sizeof(String128));
    name[0] = 'p';
    return kResultOk;
  }
  tresult PLUGIN_API createInstance(TUID, TUID, void** object) override {
    *object = nullptr;
    return kNotImplemented;
  }
  tresult PLUGIN_API queryInterface(const TUID id, void** object) override {
    const bool known = FUnknownPrivate::iidEqual(id, IHostApplication::iid) ||
                       FUnknownPrivate::iidEqual(id, FUnknown::iid);
    *object = known ? this : nullptr;
    return known ? kResultOk : kNoInterface;
  }
  uint32 PLUGIN_API addRef() override { return 1; }
  uint32 PLUGIN_API release() override { return 1; }
};

std::string narrow(const TChar* wide) {
  std::string text;
  for (; *wide != 0 && text.size() < 127; ++wide) text += static_cast<char>(*wide);
  return text;
}

template <typename Interface>
Interface* as(FUnknown* object) {
  void* found = nullptr;
  return object->queryInterface(Interface::iid, &found) == kResultOk
             ? static_cast<Interface*>(found)
             : nullptr;
}

void tell_layouts(IAudioProcessor& processor) {
  struct Layout {
    const char* name;
    SpeakerArrangement in;
    SpeakerArrangement out;
  };
  constexpr Layout kLayouts[] = {{"1-1", SpeakerArr::kMono, SpeakerArr::kMono},
                                 {"1-2", SpeakerArr::kMono, SpeakerArr::kStereo},
                                 {"2-2", SpeakerArr::kStereo, SpeakerArr::kStereo},
                                 {"2-1", SpeakerArr::kStereo, SpeakerArr::kMono},
                                 {"6-6", SpeakerArr::k51, SpeakerArr::k51}};
  std::printf("\"layouts\": {");
  const char* comma = "";
  for (const Layout& layout : kLayouts) {
    SpeakerArrangement in = layout.in;
    SpeakerArrangement out = layout.out;
    const bool taken = processor.setBusArrangements(&in, 1, &out, 1) == kResultTrue;
    std::printf("%s\"%s\": %s", comma, layout.name, taken ? "true" : "false");
    comma = ", ";
  }
  std::printf("}, ");
}

void tell_params(IEditController& controller) {
  std::printf("\"params\": [");
  for (int32 p = 0; p < controller.getParameterCount(); ++p) {
    ParameterInfo info{};
    controller.getParameterInfo(p, info);
    std::printf(
        "%s{\"id\": %u, \"title\": \"%s\", \"units\": \"%s\", \"steps\": %d, \"default\": %.6f, "
        "\"automates\": %s, \"bypass\": %s}",
        p > 0 ? ", " : "", info.id, narrow(info.title).c_str(), narrow(info.units).c_str(),
        info.stepCount, info.defaultNormalizedValue,
        (info.flags & ParameterInfo::kCanAutomate) != 0 ? "true" : "false",
        (info.flags & ParameterInfo::kIsBypass) != 0 ? "true" : "false");
  }
  std::printf("]");
}

IEditController* controller_of(IPluginFactory& factory, IComponent& component, Host& host) {
  if (auto* const same = as<IEditController>(&component)) return same;
  TUID id{};
  void* made = nullptr;
  if (component.getControllerClassId(id) != kResultOk ||
      factory.createInstance(id, IEditController::iid, &made) != kResultOk)
    return nullptr;
  auto* const controller = static_cast<IEditController*>(made);
  controller->initialize(&host);
  auto* const one = as<IConnectionPoint>(&component);
  auto* const other = as<IConnectionPoint>(controller);
  if (one != nullptr && other != nullptr) {
    one->connect(other);
    other->connect(one);
  }
  return controller;
}

}  // namespace

int main(int argc, char** argv) {
  void* const module = argc > 1 ? ::dlopen(argv[1], RTLD_NOW) : nullptr;
  if (module == nullptr) return std::fprintf(stderr, "no module: %s\n", ::dlerror()), 1;
  const auto enter = reinterpret_cast<bool (*)(void*)>(::dlsym(module, "ModuleEntry"));
  const auto get = reinterpret_cast<IPluginFactory* (*)()>(::dlsym(module, "GetPluginFactory"));
  if (get == nullptr || (enter != nullptr && !enter(module))) return 1;
  static Host host;
  IPluginFactory* const factory = get();
  for (int32 c = 0; c < factory->countClasses(); ++c) {
    PClassInfo info{};
    factory->getClassInfo(c, &info);
    if (std::strcmp(info.category, "Audio Module Class") != 0) continue;
    void* made = nullptr;
    if (factory->createInstance(info.cid, IComponent::iid, &made) != kResultOk) return 1;
    auto* const component = static_cast<IComponent*>(made);
    if (component->initialize(&host) != kResultOk) return 1;
    auto* const processor = as<IAudioProcessor>(component);
    IEditController* const controller = controller_of(*factory, *component, host);
    if (processor == nullptr || controller == nullptr) return 1;
    std::printf("{\"name\": \"%s\", \"takes_float32\": %s, ", info.name,
                processor->canProcessSampleSize(kSample32) == kResultTrue ? "true" : "false");
    tell_layouts(*processor);
    tell_params(*controller);
    std::printf("}\n");
  }
  return 0;
}
