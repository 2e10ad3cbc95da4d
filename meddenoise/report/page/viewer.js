// Two canvases lie over each other; the upper one shows the part left of the bar.
"use strict";
(async () => {
  const scans = JSON.parse(document.getElementById("scans").textContent);
  const get = (id) => document.getElementById(id);
  const fail = (fault) => {
    get("trouble").textContent = "The slices cannot be shown: " + (fault.message || fault) +
      ". The viewer needs WebGL 2.";
  };
  try {
    const { Niivue, NVImage, DRAG_MODE } = niivue;
    const options = {
      isRadiologicalConvention: true, sagittalNoseLeft: true, backColor: [0, 0, 0, 1],
      crosshairColor: [1, 0.83, 0, 1], crosshairWidth: scans.crosshair, loadingText: "",
      dragAndDropEnabled: false, isNearestInterpolation: true, isColorbar: false,
      multiplanarForceRender: false, multiplanarShowRender: 0, logLevel: "error",
      dragMode: DRAG_MODE.windowing,
    };
    const sides = { left: new Niivue(options), right: new Niivue(options) };
    await sides.left.attachToCanvas(get("over"));
    await sides.right.attachToCanvas(get("under"));
    const linked = { "2d": true, "3d": false, zoomPan: true, sliceType: true };
    sides.left.broadcastTo(sides.right, linked);
    sides.right.broadcastTo(sides.left, linked);

    const load = (name, scan) => NVImage.loadFromBase64({ base64: scan.nifti, name: name + ".nii.gz" });
    // Each side has copies of its own: a volume belongs to the canvas that draws it.
    const images = {};
    for (const side of Object.keys(sides)) {
      images[side] = {};
      for (const [name, scan] of Object.entries(scans.images)) {
        images[side][name] = await load(name, scan);
      }
      const residual = await load("residual", scans.residual);
      residual.colormap = "red";
      residual.colormapNegative = "blue";
      residual.colormapType = 1;
      residual.cal_min = scans.spread / 4; residual.cal_max = scans.spread;
      residual.cal_minNeg = -scans.spread / 4; residual.cal_maxNeg = -scans.spread;
      residual.opacity = 0;
      images[side].residual = residual;
    }
    const names = Object.keys(scans.images);

    const draw = () => Object.values(sides).forEach((nv) => nv.drawScene());
    const setWindow = () => {
      // Voxels in the page may be multiplied, as NiiVue draws no narrower window than 0.00001.
      const centre = Number(get("level").value) * scans.scale;
      const width = Math.max(Number(get("window").value) * scans.scale, 1e-5);
      for (const [side, nv] of Object.entries(sides)) {
        for (const name of names) {
          images[side][name].cal_min = centre - width / 2;
          images[side][name].cal_max = centre + width / 2;
        }
        nv.updateGLVolume();
      }
    };
    const show = (side) => {
      const nv = sides[side], name = get(side).value;
      nv.volumes = [];
      nv.addVolume(images[side][name]);
      nv.addVolume(images[side].residual);
      get("name-" + side).textContent = name;
      setWindow();
    };
    const swipe = () => {
      const share = Number(get("swipe").value);
      get("over").style.clipPath = `inset(0 ${100 - share}% 0 0)`;
      get("bar").style.left = share + "%";
    };
    const overlay = () => {
      for (const nv of Object.values(sides)) nv.setOpacity(1, Number(get("overlay").value));
    };
    const zoom = () => {
      for (const nv of Object.values(sides)) {
        // About the crosshair: NiiVue's own zoom is about the origin of space.
        const [x, y, z, old] = nv.scene.pan2Dxyzmm, now = Number(get("zoom").value);
        const [a, b, c] = nv.frac2mm(nv.scene.crosshairPos), by = old - now;
        nv.setPan2Dxyzmm([x + by * a, y + by * b, z + by * c, now]);
      }
    };
    const plane = () => {
      for (const nv of Object.values(sides)) nv.setSliceType(Number(get("plane").value));
    };
    const smooth = () => {
      for (const nv of Object.values(sides)) nv.setInterpolation(!get("smooth").checked);
    };
    const reset = () => {
      get("level").value = scans.level; get("window").value = scans.window;
      get("swipe").value = 50; get("zoom").value = 1; get("overlay").value = 0;
      get("plane").value = scans.plane;
      for (const nv of Object.values(sides)) {
        nv.scene.crosshairPos = [0.5, 0.5, 0.5];
        nv.setPan2Dxyzmm([0, 0, 0, 1]);
      }
      setWindow(); swipe(); overlay(); plane(); draw();
    };

    for (const side of Object.keys(sides)) {
      for (const name of names) get(side).add(new Option(name, name));
    }
    get("left").value = names[0];
    get("right").value = names[1];
    get("level").value = scans.level; get("window").value = scans.window;
    show("left"); show("right"); reset();
    if (scans.flat) get("plane").parentElement.hidden = true;

    get("left").onchange = () => { show("left"); overlay(); };
    get("right").onchange = () => { show("right"); overlay(); };
    get("swipe").oninput = swipe;
    get("level").onchange = get("window").onchange = setWindow;
    get("zoom").oninput = zoom;
    get("overlay").oninput = overlay;
    get("plane").onchange = plane;
    get("smooth").onchange = smooth;
    get("reset").onclick = reset;
    get("bar").onpointerdown = (down) => { get("bar").setPointerCapture(down.pointerId); };
    get("bar").onpointermove = (move) => {
      if (!get("bar").hasPointerCapture(move.pointerId)) return;
      const stage = get("stage").getBoundingClientRect();
      get("swipe").value = 100 * (move.clientX - stage.left) / stage.width;
      swipe();
    };
    for (const [side, nv] of Object.entries(sides)) {
      // Dragging with the right button changed one side's window: the other follows.
      nv.onIntensityChange = (image) => {
        const width = (image.cal_max - image.cal_min) / scans.scale;
        const digits = Math.min(Math.max(4 - Math.floor(Math.log10(width)), 0), 100);
        const centre = (image.cal_min + image.cal_max) / 2 / scans.scale;
        get("level").value = Number(centre.toFixed(digits));
        get("window").value = Number(width.toFixed(digits));
        setWindow();
      };
      nv.onLocationChange = (at) => {
        const told = at.values.slice(0, 1).map((v) => (v.value / scans.scale).toPrecision(5));
        const mm = Array.from(at.mm).slice(0, 3).map((x) => x.toFixed(1)).join(", ");
        get("place").textContent = `${get(side).value}: ${told} at ${mm} mm`;
      };
    }
    window.meddenoiseViewer = { sides, images };
    document.body.dataset.ready = "yes";
  } catch (fault) {
    fail(fault);
    document.body.dataset.ready = "failed";
    console.error(fault);
  }
})();
