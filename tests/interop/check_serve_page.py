"""Chromium, headless, uses the page of the example `serve`: photos chosen, dropped, pasted and taken, the map, and what is no photo."""

import io
import json
import shutil
import subprocess

import numpy as np
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

import common

args = common.arguments(__doc__)
model = args.demo / "run-seed-1" / "model.safetensors"
serve = args.flowers.with_name("serve")

rng = np.random.default_rng(1)
photo, other = (args.scratch / name for name in ("a photo.jpg", "another.webp"))
for path in (photo, other):
    Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(path)
text = args.scratch / "notes.txt"
text.write_text("no photo")

server = subprocess.Popen([serve, "--model", model, "--address", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
browser = None
try:
    address = server.stdout.readline().strip().removeprefix("listening on ")
    options = webdriver.ChromeOptions()
    # A camera that shows a test picture, and nobody who must allow it.
    for option in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "use-fake-device-for-media-stream", "use-fake-ui-for-media-stream", "window-size=900,1400"):
        options.add_argument(f"--{option}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # Debian's packages `chromium` and `chromium-driver`; without their paths selenium would fetch others.
    options.binary_location = shutil.which("chromium")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    browser.get(address)
    wait = WebDriverWait(browser, 60)
    figures = lambda: browser.find_elements(By.CSS_SELECTOR, "#answers figure")

    def answered(count):
        """The newest figure, once there are so many and each has its bars or its error."""
        done = lambda _: len(figures()) == count and all(f.find_elements(By.CSS_SELECTOR, ".bar, .error") for f in figures())
        wait.until(done)
        return figures()[0]

    def bars(figure):
        return [(*(bar.find_element(By.CSS_SELECTOR, f":scope > :{end}-child").text for end in ("first", "last")),) for bar in figure.find_elements(By.CLASS_NAME, "bar")]

    # Chosen, two at once; the page must say what `flowers predict` says.
    browser.find_element(By.CSS_SELECTOR, "input").send_keys(f"{photo}\n{other}")
    newest = answered(2)
    names = [f.find_element(By.TAG_NAME, "figcaption").text for f in figures()]
    assert names == ["another.webp", "a photo.jpg"], names

    told = json.loads(common.run(args.flowers, "predict", "--json", "--model", model, other))
    wanted = sorted(told["probabilities"].items(), key=lambda pair: -pair[1])
    for (name, percent), (class_name, probability) in zip(bars(newest), wanted, strict=True):
        assert name == class_name and abs(float(percent.split()[0]) - 100 * probability) <= 0.051, (name, percent, probability)
    print(f"chosen: {names}, bars as `flowers predict` gives them: {bars(newest)[0]}")

    # The map.
    newest.find_element(By.CLASS_NAME, "why").click()
    loaded = "return [...arguments[0].querySelectorAll('img.map')].some(image => image.complete && image.naturalWidth == 512)"
    wait.until(lambda _: browser.execute_script(loaded, newest))
    print("explained: a picture 512 pixels wide")

    # Dropped and pasted.
    for kind, count in (("drop", 3), ("paste", 4)):
        browser.execute_script("""
            const [kind, bytes] = arguments, data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], `${kind}.jpg`, { type: "image/jpeg" }));
            document.dispatchEvent(kind == "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
                : new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));""", kind, list(photo.read_bytes()))
        assert len(bars(answered(count))) == len(wanted), kind
    print("dropped and pasted")

    # What is no photo is told, and the page goes on.
    browser.find_element(By.CSS_SELECTOR, "input").send_keys(str(text))
    error = answered(5).find_element(By.CLASS_NAME, "error").text
    assert error.startswith("this is no photo") and "text" in error, error
    print(f"no photo: {error}")

    # The camera.
    browser.find_element(By.ID, "camera").click()
    wait.until(lambda _: browser.execute_script("return document.querySelector('video').videoWidth > 0"))
    browser.find_element(By.ID, "shoot").click()
    assert len(bars(answered(6))) == len(wanted)
    print("taken with the camera")
    browser.save_screenshot(str(args.scratch / "page.png"))
    assert Image.open(io.BytesIO(browser.get_screenshot_as_png())).width >= 800

    # The one answer that is no photo's is logged by the browser itself.
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert all("415" in message or "favicon" in message for message in errors), errors

    # Without a server.
    server.terminate()
    server.wait(20)
    browser.find_element(By.CSS_SELECTOR, "input").send_keys(str(photo))
    error = answered(7).find_element(By.CLASS_NAME, "error").text
    assert "the server does not answer" in error, error
    print(f"without a server: {error}")
finally:
    server.kill()
    if browser:
        browser.quit()
