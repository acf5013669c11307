// An exported TDNet in C++, with OpenVINO: raw frames in, class indices out.
//
//   tdseg export td4-lite0-camvid --to openvino -o exported
//   c++ -std=c++17 examples/deploy.cpp -o deploy -lopenvino        # docs/deploy.md has the flags for the pip package
//   ./deploy exported/model.xml frames.rgb masks.bin
//
// frames.rgb: uint8 (T, h, w, 3), RGB, at the size the model was exported for. masks.bin: uint8 (T, u·h/8, u·w/8), the
// class of each logit; resize the logits (bilinear, aligned corners) before the argmax for masks at full size.

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <openvino/openvino.hpp>

struct State {
    std::string name;
    ov::Tensor past, present;  // what the frame before left, and what this one leaves: they change places
};

int main(int argc, char** argv) {
    if (argc != 4) {
        std::cerr << "usage: deploy model.xml frames.rgb masks.bin\n";
        return 2;
    }
    ov::Core core;
    // On processors with bfloat16 OpenVINO would compute in it, and give other masks.
    ov::CompiledModel model = core.compile_model(
        argv[1], "CPU", ov::hint::performance_mode("LATENCY"), ov::hint::inference_precision(ov::element::f32));
    ov::InferRequest request = model.create_infer_request();

    std::vector<State> memory;
    for (const auto& input : model.inputs()) {
        const std::string name = input.get_any_name();
        if (name.rfind("past_", 0) != 0) continue;
        State state{name.substr(5), {input.get_element_type(), input.get_shape()}, {input.get_element_type(), input.get_shape()}};
        std::fill_n(static_cast<std::uint8_t*>(state.past.data()), state.past.get_byte_size(), 0);  // an empty memory
        memory.push_back(std::move(state));
    }

    ov::Tensor image(ov::element::u8, model.input("image").get_shape());
    std::ifstream frames(argv[2], std::ios::binary);
    std::ofstream masks(argv[3], std::ios::binary);
    while (frames.read(reinterpret_cast<char*>(image.data<std::uint8_t>()), image.get_byte_size())) {
        request.set_tensor("image", image);
        for (State& state : memory) {
            request.set_tensor("past_" + state.name, state.past);
            request.set_tensor("present_" + state.name, state.present);
        }
        request.infer();
        for (State& state : memory) std::swap(state.past, state.present);

        const ov::Tensor logits = request.get_tensor("logits");  // (1, C, rows, columns)
        const std::size_t classes = logits.get_shape()[1], pixels = logits.get_size() / classes;
        const float* scores = logits.data<float>();
        std::vector<std::uint8_t> mask(pixels);
        for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
            std::size_t best = 0;
            for (std::size_t c = 1; c < classes; ++c)
                if (scores[c * pixels + pixel] > scores[best * pixels + pixel]) best = c;
            mask[pixel] = static_cast<std::uint8_t>(best);
        }
        masks.write(reinterpret_cast<const char*>(mask.data()), mask.size());
    }
    return 0;
}
